# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: put rulesets into force, let a card come, go and change its name, and send probes.

Started as root where it may spoil everything: in a virtual machine of its own as the first
process, or in new network, mount and PID namespaces. Argument: a folder that holds firewall.nft,
closed.nft, egress.nft (for a card called `@interface@`), stranger.nft (which names a missing
user), passwd and send_probes.py. Prints one line of JSON: step -> what was seen on the far end of
the cable, as hexadecimal frames, or what a command answered.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

TOR, USER = 110, 1000
MARK = b"gnoppix-probe"
NEAR, FAR = "10.9.0.2", "10.9.0.1"
SERVER_PORT = 443
LOADED, REFUSED = "loaded", "refused"
SERVER = """
import os, socket
listener = socket.create_server(("10.9.0.1", 443), backlog=50)
while True:
    client, _ = listener.accept()
    if not os.fork():
        while client.recv(100):
            client.sendall(b"remote")
        os._exit(0)
"""
PERMISSIVE = """
add table inet open
add chain inet open out { type filter hook output priority 0; }
add rule inet open out ct state established accept
"""
BLANKET = """
table inet blanket {
    chain out { type filter hook output priority 0; policy drop; ct state established accept; }
    chain in { type filter hook input priority 0; policy drop; ct state established accept; }
}
"""
ONLY_IPV4 = """
table ip four {
    chain out { type filter hook output priority 0; policy drop; }
}
"""
TRANSPARENT_PORT = 9040


class Lab:
    """The folder of files, the far end of the cable, and what was seen so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: dict[str, object] = {}
        self.card = "wire0"
        self.far = subprocess.Popen(("unshare", "--net", "sleep", "infinity"))
        time.sleep(0.3)
        self.inside = ("nsenter", f"--net=/proc/{self.far.pid}/ns/net")

    def lay_cable(self) -> None:
        """Make the card anew; its other end is in the other namespace."""
        peer = ("peer", "name", "far0", "netns", str(self.far.pid))
        run("ip", "link", "add", self.card, "type", "veth", *peer)
        run(*self.inside, "ip", "address", "add", f"{FAR}/24", "dev", "far0")
        run(*self.inside, "ip", "link", "set", "far0", "up")

    def bring_up(self) -> None:
        """Give the card an address and a route, by both families, as a network would."""
        run("ip", "link", "set", self.card, "up")
        run("ip", "address", "replace", f"{NEAR}/24", "dev", self.card)
        run("ip", "route", "replace", "default", "via", FAR)
        run("ip", "-6", "address", "replace", "fd00:9::2/64", "dev", self.card, "nodad")
        run("ip", "-6", "route", "replace", "2001:db8::/32", "dev", self.card)
        # The card's own multicast reports at its start are not what is asked here.
        time.sleep(1.2)

    def probe(self, step: str, uids: tuple[int, ...] = (0, USER)) -> None:
        """Send every probe as these users, and remember what came out at the far end."""
        program = self.folder / "send_probes.py"

        def send_all() -> None:
            for uid in uids:
                run(sys.executable, program, str(uid))

        self.watch(step, send_all)

    def watch(self, step: str, action: Callable[[], object]) -> None:
        """Remember the frames that came out at the far end while something was done."""
        card = self.listen_far()
        action()
        time.sleep(0.3)
        frames = []
        card.setblocking(False)
        try:
            while True:
                frame, sender = card.recvfrom(2000)
                if sender[2] != socket.PACKET_OUTGOING:
                    frames.append(frame.hex())
        except BlockingIOError:
            card.close()
        self.seen[step] = frames

    def listen_far(self) -> socket.socket:
        """Open a packet socket in the other namespace."""
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        theirs = os.open(f"/proc/{self.far.pid}/ns/net", os.O_RDONLY)
        # The suite's Python has it; what reads this file may be older.
        os.setns(theirs)  # type: ignore[attr-defined,unused-ignore]
        try:
            card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            card.bind(("far0", 3))
        finally:
            os.setns(own)  # type: ignore[attr-defined,unused-ignore]
            os.close(own)
            os.close(theirs)
        return card

    def load(self, step: str, name: str, text: str | None = None) -> None:
        """Load a ruleset of the folder and remember whether nft took it."""
        content = text if text is not None else (self.folder / name).read_text()
        done = subprocess.run(
            ("nft", "-f", "-"), input=content.encode(), capture_output=True, check=False
        )
        self.seen[step] = LOADED if done.returncode == 0 else REFUSED

    def load_egress(self, step: str) -> None:
        """Load the egress chain of the card under the name that it has now."""
        text = (self.folder / "egress.nft").read_text()
        self.load(step, "egress.nft", text.replace("@interface@", self.card))


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def send(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(MARK)


def flush() -> None:
    run("nft", "flush", "ruleset")


def connect_as(uid: int, address: str, port: int) -> socket.socket:
    """Connect with a socket that is another user's."""
    os.seteuid(uid)
    try:
        # A socket's owner is who made it.
        return socket.create_connection((address, port), timeout=3)
    finally:
        os.seteuid(0)


def listen_as_tor() -> socket.socket:
    """Open the port that redirected connections are led to."""
    os.seteuid(TOR)
    try:
        return socket.create_server(("127.0.0.1", TRANSPARENT_PORT))
    finally:
        os.seteuid(0)


def try_rulesets(lab: Lab) -> None:
    lab.probe("no rules")
    lab.load("inet table", "firewall.nft")
    lab.probe("inet table alone")
    lab.load_egress("egress chain")
    lab.probe("inet table and egress chain")
    lab.watch("what tor sends", lambda: connect_as(TOR, FAR, SERVER_PORT).close())
    lab.load("missing user", "stranger.nft")
    lab.probe("after a ruleset that names a missing user")
    lab.load("closed", "closed.nft")
    lab.probe("closed ruleset", (0, USER, TOR))
    flush()
    lab.load("only IPv4", "", ONLY_IPV4)
    lab.probe("a ruleset for IPv4 alone")
    flush()


def try_flows(lab: Lab) -> None:
    lab.load("permissive", "", PERMISSIVE)
    old = connect_as(USER, FAR, SERVER_PORT)
    lab.load("blanket", "", BLANKET)
    lab.watch("old connection, all that is established accepted", lambda: send(old))
    run("nft", "delete", "table", "inet", "blanket")
    lab.load("switch", "firewall.nft")
    lab.watch("old connection", lambda: send(old))
    lab.watch("old connection, its end", old.close)
    server = listen_as_tor()
    led = connect_as(USER, "192.0.2.7", 80)
    accepted, _ = server.accept()
    lab.seen["led to port"] = accepted.getsockname()[1]

    def let_proxy_die() -> None:
        accepted.close()
        server.close()

    def go_on() -> None:
        send(led)
        led.close()

    lab.watch("redirected connection whose proxy dies", let_proxy_die)
    # What tracked the connection goes too, as after a long silence. For that no rules are in force
    # for a moment, in which nothing is held: it is not watched.
    run("nft", "delete", "table", "inet", "gnoppix")
    lab.load("reload", "firewall.nft")
    lab.watch("redirected connection whose proxy died", go_on)
    flush()


def try_cards(lab: Lab) -> None:
    """Let the card go and come back under the rules, and change its name."""
    run("ip", "link", "delete", lab.card)
    lab.load("inet table before any card", "firewall.nft")
    lab.load_egress("egress chain before its card")
    lab.lay_cable()
    lab.load_egress("egress chain of a late card")
    lab.bring_up()
    lab.probe("late card")
    run("ip", "link", "delete", lab.card)
    lab.lay_cable()
    lab.bring_up()
    lab.probe("card that came back, chain not loaded again")
    lab.load_egress("egress chain of a card that came back")
    lab.probe("card that came back")
    run("ip", "link", "set", lab.card, "down")
    run("ip", "link", "set", lab.card, "name", "other0")
    lab.card = "other0"
    lab.bring_up()
    lab.probe("renamed card, chain not loaded again")
    lab.load_egress("egress chain of a renamed card")
    lab.probe("renamed card")
    flush()
    lab.probe("no rules at the end")


def main() -> None:
    lab = Lab(Path(sys.argv[1]))
    run("mount", "--bind", lab.folder / "passwd", "/etc/passwd")
    run("ip", "link", "set", "lo", "up")
    # As Debian sets it: every user may ping.
    Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 2147483647")
    lab.lay_cable()
    lab.bring_up()
    server = subprocess.Popen((*lab.inside, sys.executable, "-c", SERVER))
    time.sleep(0.5)
    try_rulesets(lab)
    try_flows(lab)
    try_cards(lab)
    server.kill()
    lab.far.kill()
    sys.stdout.write(json.dumps({"kernel": os.uname().release, "seen": lab.seen}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    watchdog = threading.Timer(300, lambda: os._exit(1))
    watchdog.daemon = True
    watchdog.start()
    main()

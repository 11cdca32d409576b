# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: load a ruleset in a network of its own, send real packets, and tell what happened.

Started in new network, mount and PID namespaces with RULESET PASSWD as arguments. Prints JSON: the
outcome of each probe, and whether its marked packet was seen on the other end of the cable.
"""

import contextlib
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

TOR, ROUTER, NETWORK, USER = 110, 111, 998, 1000
SERVER = """
import os, socket
listener = socket.create_server(("10.9.0.1", 443), backlog=50)
while True:
    client, _ = listener.accept()
    if not os.fork():
        client.sendall(b"remote:" + client.recv(100))
        os._exit(0)
"""


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def connect_cable() -> int:
    """Lay a cable to another network namespace; the answer is the pid that holds it open."""
    holder = subprocess.Popen(("unshare", "-n", "sleep", "300"))
    time.sleep(0.3)
    inside = ("nsenter", "-n", "-t", str(holder.pid))
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1")
    run("ip", "link", "set", "wire1", "netns", str(holder.pid))
    run("ip", "address", "add", "10.9.0.2/24", "dev", "wire0")
    run("ip", "link", "set", "wire0", "up")
    run(*inside, "ip", "address", "add", "10.9.0.1/24", "dev", "wire1")
    run(*inside, "ip", "link", "set", "wire1", "up")
    run("ip", "route", "add", "default", "via", "10.9.0.1")
    subprocess.Popen((*inside, sys.executable, "-c", SERVER))
    time.sleep(0.5)
    return holder.pid


def listen(protocol: int, port: int, uid: int, answer: bytes, address: str = "127.0.0.1") -> None:
    """Serve for ever as a user, in a process of its own."""
    if os.fork():
        return
    os.setgid(uid)
    os.setuid(uid)
    with socket.socket(socket.AF_INET, protocol) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        if protocol == socket.SOCK_STREAM:
            server.listen()
        while True:
            if protocol == socket.SOCK_STREAM:
                client, _ = server.accept()
                client.sendall(answer + client.recv(100))
                client.close()
            else:
                asked, peer = server.recvfrom(100)
                server.sendto(answer + asked, peer)


def probe(uid: int, protocol: int, address: str, port: int) -> str:
    """Ask something as a user; the answer, or the name of the error."""
    reader, writer = os.pipe()
    if not os.fork():
        os.setgid(uid)
        os.setuid(uid)
        os.write(writer, ask(protocol, address, port).encode())
        os._exit(0)
    os.close(writer)
    text = os.read(reader, 200).decode()
    os.close(reader)
    os.wait()
    return text


def ask(protocol: int, address: str, port: int) -> str:
    try:
        with socket.socket(socket.AF_INET, protocol) as client:
            client.settimeout(2)
            client.connect((address, port))
            client.sendall(b"marked")
            return client.recv(200).decode()
    except OSError as error:
        return type(error).__name__


def say(said: list[str], arguments: tuple[int, int, str, int]) -> None:
    said.append(probe(*arguments))


class Wire:
    """The frames that leave by the cable."""

    def __init__(self, name: str = "wire0", patience_s: float = 0.1) -> None:
        self.patience_s = patience_s
        self.card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.card.bind((name, 0))

    def sent_during(self, action: Callable[[], object]) -> list[bytes]:
        self.take()
        action()
        time.sleep(self.patience_s)
        return self.take()

    def take(self) -> list[bytes]:
        frames = []
        while select.select([self.card], [], [], 0)[0]:
            frame, where = self.card.recvfrom(2000)
            if where[2] == socket.PACKET_OUTGOING and frame[12:14] != b"\x08\x06":
                frames.append(frame)
        return frames


def send_ping(uid: int) -> None:
    if not os.fork():
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            os.setuid(uid)
            with contextlib.suppress(OSError):
                raw.sendto(b"\x08\x00" + struct.pack("!HHH", 0xF7FF, 0, 0), ("10.9.0.1", 0))
        os._exit(0)
    os.wait()


def main() -> None:
    ruleset, passwd = sys.argv[1:]
    run("mount", "--bind", passwd, "/etc/passwd")
    connect_cable()
    wire = Wire()
    listen(socket.SOCK_STREAM, 9050, TOR, b"socks:")
    listen(socket.SOCK_STREAM, 9040, TOR, b"trans:")
    listen(socket.SOCK_DGRAM, 5353, TOR, b"dns:")
    listen(socket.SOCK_STREAM, 8000, USER, b"other:")
    time.sleep(0.3)
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    tracking = "add chain inet open out { type filter hook output priority 0; }"
    run("nft", "add table inet open")
    run("nft", tracking)
    run("nft", "add rule inet open out ct state established accept")
    old = socket.create_connection(("10.9.0.1", 443))
    run("nft", "-f", ruleset)
    run("nft", "-f", ruleset)
    probes = {
        "user socks": (USER, tcp, "127.0.0.1", 9050),
        "user far tcp": (USER, tcp, "192.0.2.1", 80),
        "root far tcp": (0, tcp, "192.0.2.1", 80),
        "user name": (USER, udp, "127.0.0.1", 53),
        "user trans directly": (USER, tcp, "127.0.0.1", 9040),
        "user dns directly": (USER, udp, "127.0.0.1", 5353),
        "user undeclared": (USER, tcp, "127.0.0.1", 8000),
        "user own address": (USER, tcp, "10.9.0.2", 8000),
        "user far udp": (USER, udp, "192.0.2.1", 53),
        "root far udp": (0, udp, "192.0.2.1", 53),
        "network far udp": (NETWORK, udp, "192.0.2.1", 53),
        "tor far tcp": (TOR, tcp, "10.9.0.1", 443),
        "tor name": (TOR, udp, "127.0.0.1", 53),
        "router far tcp": (ROUTER, tcp, "10.9.0.1", 443),
        "router name": (ROUTER, udp, "127.0.0.1", 53),
        "tor far udp": (TOR, udp, "10.9.0.1", 443),
    }
    results: dict[str, object] = {}
    for name, arguments in probes.items():
        said: list[str] = []
        frames = wire.sent_during(partial(say, said, arguments))
        results[name] = [said[0], bool(frames)]
    results["root ping"] = bool(wire.sent_during(lambda: send_ping(0)))
    results["old connection"] = bool(wire.sent_during(lambda: old.sendall(b"marked")))
    subprocess.run(("nft", "flush", "ruleset"), check=True)
    results["root ping, no rules"] = bool(wire.sent_during(lambda: send_ping(0)))
    udp_frames = wire.sent_during(lambda: probe(USER, udp, "192.0.2.1", 53))
    results["user far udp, no rules"] = bool(udp_frames)
    sys.stdout.write(json.dumps(results))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    watchdog = threading.Timer(60, lambda: os._exit(1))
    watchdog.daemon = True
    watchdog.start()
    main()

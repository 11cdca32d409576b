# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies beyond the cable: a router with DHCP, the far ends of both VPNs, a greeting service."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from net_namespace import ETH_P_ALL, Namespace

ROUTER: Final = "198.51.100.1"
CABLE: Final = "lan0"
WIREGUARD_PORT: Final = 51820
OPENVPN_PORT: Final = 1194
INSIDE_WIREGUARD: Final = "10.2.0.1"
WIREGUARD_ADDRESS: Final = "10.2.0.2"
INSIDE_OPENVPN: Final = "10.8.0.1"
GREETING_PORT: Final = 7000
GREETING: Final = "hello from the far end"
GREETER = """
import socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
while True:
    client, _ = server.accept()
    client.sendall(sys.argv[2].encode())
    client.close()
"""
PKI = """
set -e
cd /mnt
new="openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
$new -keyout ca.key -out ca.csr -subj /CN=ca
valid="-not_before $1 -not_after $2"
printf 'basicConstraints=critical,CA:TRUE\\n' >ca.ext
openssl x509 -req -in ca.csr -signkey ca.key $valid -extfile ca.ext -out ca.crt
for who in server client; do
    printf 'keyUsage=digitalSignature\\nextendedKeyUsage=%sAuth\\n' "$who" >"$who.ext"
    $new -keyout "$who.key" -out "$who.csr" -subj "/CN=$who"
    openssl x509 -req -in "$who.csr" -CA ca.crt -CAkey ca.key -CAcreateserial $valid \\
        -extfile "$who.ext" -out "$who.crt"
done
"""
# A server that tries what servers should not be able to: a route past the tunnel, name servers.
OPENVPN_SERVER = f"""
mode server
tls-server
dev tunsrv
dev-type tun
local ADDRESS
port PORT
proto PROTOCOL
topology subnet
server 10.8.0.0 255.255.255.0
ca /mnt/ca.crt
cert /mnt/server.crt
key /mnt/server.key
dh none
keepalive 1 6
push "route {ROUTER} 255.255.255.255 net_gateway"
push "redirect-gateway def1"
push "dhcp-option DNS 203.0.113.53"
verb 3
"""


def days_around(days: float) -> tuple[str, str]:
    """Give the moments so many days before and after now, as openssl takes them."""
    now, margin = datetime.now(UTC), timedelta(days=days)
    return f"{now - margin:%Y%m%d%H%M%SZ}", f"{now + margin:%Y%m%d%H%M%SZ}"


class FarEnd:
    """The other end of a container's cable. Use it as a context."""

    def __init__(self, lab_root: Path, work: Path) -> None:
        self.namespace = Namespace(lab_root, work)
        self._lab_root = lab_root
        self._work = work

    def __enter__(self) -> Self:
        self.namespace.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.namespace.__exit__(*exception)

    def connect(self, machine: Namespace, card: str) -> None:
        """Lay the cable, and start what is at its end."""
        self.namespace.set("ipv6/conf/all/disable_ipv6", "1")
        self._lay_cable(machine, card)
        self._start_servers()

    def connect_tap(self) -> int:
        """Give the cable's end as a descriptor, for a virtual machine, and start what is here."""
        self.namespace.set("ipv6/conf/all/disable_ipv6", "1")
        tap = self.namespace.make_tap(CABLE)
        self._plug_in()
        self._start_servers()
        return tap

    def _start_servers(self) -> None:
        self._start(
            *("dnsmasq", "--keep-in-foreground", "--port=0", f"--interface={CABLE}"),
            *("--bind-interfaces", "--conf-file=/dev/null", "--leasefile-ro", "--pid-file="),
            *("--dhcp-authoritative", "--dhcp-range=198.51.100.50,198.51.100.60,1h"),
        )
        self._start("python3", "-c", GREETER, str(GREETING_PORT), GREETING)

    def set_link(self, state: str) -> None:
        """Pull the plug out, `down`, or put it in again, `up`."""
        self.namespace.run("ip", "link", "set", CABLE, state)

    def replace_card(self, machine: Namespace, card: str) -> None:
        """Take the card away, and plug in a new one of the same name."""
        self.namespace.run("ip", "link", "delete", CABLE)
        self._lay_cable(machine, card)

    @contextmanager
    def recorded(self) -> Iterator[list[bytes]]:
        """Give a list that holds, after the block, what came by the cable or its successor."""
        frames: list[bytes] = []
        ended = threading.Event()
        with self.namespace.call(_open_wire) as wire:
            thread = threading.Thread(target=_take_frames, args=(wire, frames, ended))
            thread.start()
            try:
                yield frames
            finally:
                ended.set()
                thread.join()

    def make_wireguard_keys(self) -> tuple[str, str]:
        """Give the machine's private key and the far end's public one; the rest is kept."""
        self._private = self._say("wg", "genkey")
        mine = self._say("wg", "genkey")
        self._machine = self._say("wg", "pubkey", stdin=mine)
        return mine, self._say("wg", "pubkey", stdin=self._private)

    def start_wireguard(self, *, in_kernel: bool) -> None:
        """Start the peer, with the kernel's WireGuard or the one that is a program."""
        run = self.namespace.run_in_root
        (self._work / "peer.key").write_text(self._private)
        if in_kernel:
            run("ip", "link", "add", "wgpeer", "type", "wireguard")
        else:
            self._start("wireguard-go", "--foreground", "wgpeer")
            self._wait_for_link("wgpeer")
        peer = ("peer", self._machine, "allowed-ips", f"{WIREGUARD_ADDRESS}/32")
        run(
            *("wg", "set", "wgpeer", "listen-port", str(WIREGUARD_PORT)),
            *("private-key", "/mnt/peer.key", *peer),
        )
        run("ip", "address", "add", f"{INSIDE_WIREGUARD}/24", "dev", "wgpeer")
        run("ip", "link", "set", "wgpeer", "up")

    def make_certificates(self) -> None:
        """Make an authority, and its certificates for server and machine, in the work folder."""
        self.namespace.run_in_root("sh", "-c", PKI, "sh", *days_around(30))

    def start_openvpn(
        self, protocol: str, address: str = ROUTER, port: int = OPENVPN_PORT
    ) -> tuple[str | Path, ...]:
        """Start a server of OpenVPN here, or give the command for one that is elsewhere."""
        settings = OPENVPN_SERVER
        for name, value in (("ADDRESS", address), ("PORT", str(port)), ("PROTOCOL", protocol)):
            settings = settings.replace(name, value)
        (self._work / "server.conf").write_text(settings)
        argv = ("openvpn", "--config", "/mnt/server.conf")
        if address == ROUTER:
            self._start(*argv)
            self._wait_for_link("tunsrv")
        mounts = f"--mount=/proc/{self.namespace.pid}/ns/mnt"
        return ("nsenter", mounts, "chroot", self._lab_root, *argv)

    def _lay_cable(self, machine: Namespace, card: str) -> None:
        """Make a veth pair; the machine's end is down, as a card is when it appears."""
        far = self.namespace
        far.run(
            *("ip", "link", "add", CABLE, "type", "veth"),
            *("peer", "name", card, "netns", str(machine.pid)),
        )
        self._plug_in()

    def _plug_in(self) -> None:
        self.namespace.run("ip", "address", "add", f"{ROUTER}/24", "dev", CABLE)
        self.namespace.run("ip", "link", "set", CABLE, "up")

    def _start(self, *argv: str) -> subprocess.Popen[bytes]:
        with (self._work / f"{argv[0]}.log").open("ab") as log:
            return self.namespace.start(self.namespace.command_in_root(*argv), log)

    def _say(self, *argv: str, stdin: str = "") -> str:
        return self.namespace.run_in_root(*argv, stdin=stdin.encode()).decode().strip()

    def _wait_for_link(self, name: str) -> None:
        deadline = time.monotonic() + 10
        while name.encode() not in self.namespace.run("ip", "-brief", "link"):
            assert time.monotonic() < deadline, f"`{name}` did not come up"
            time.sleep(0.05)


def _open_wire() -> socket.socket:
    """Give a packet socket bound to no interface: it outlives each of them."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    wire.settimeout(0.05)
    return wire


def _take_frames(wire: socket.socket, frames: list[bytes], ended: threading.Event) -> None:
    is_last = False
    while not is_last:
        is_last = ended.is_set()
        with suppress(TimeoutError):
            while True:
                frame, (interface, _, kind, *_) = wire.recvfrom(1 << 16)
                if interface == CABLE and kind != socket.PACKET_OUTGOING:
                    frames.append(frame)

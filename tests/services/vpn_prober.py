# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: tries to send past a tunnel by every way that root has, until its input ends.

Rounds follow each other without a pause worth naming, so that a gap of some milliseconds shows.
Says `ready` after the first.
"""

import contextlib
import select
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

MARK = b"gnoppix-probe"
FAR = "192.0.2.1"
ROUTER = "198.51.100.1"
DATAGRAMS = (
    (socket.AF_INET, FAR),
    (socket.AF_INET, ROUTER),
    (socket.AF_INET, "255.255.255.255"),
    (socket.AF_INET6, "2001:db8::1"),
)
PORT = 4242
PAUSE_S = 0.01
# An IPv4 packet of UDP from 192.0.2.2 to 192.0.2.1, to everybody on the link. Source: RFC 791.
FRAME = (
    b"\xff" * 6
    + bytes.fromhex("020000000001080045000029000000004011b6c6c0000202c0000201")
    + struct.pack("!HHHH", PORT, PORT, 8 + len(MARK), 0)
    + MARK
)


def main() -> None:
    send_all()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
        send_all()


def send_all() -> None:
    for send in (send_raw_frames, send_datagrams, send_pings, start_connections):
        attempt(send)


def attempt(send: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):
        send()


def interfaces() -> list[str]:
    """Read the interfaces that there are right now."""
    lines = Path("/proc/self/net/dev").read_text().splitlines()[2:]
    return [line.split(":")[0].strip() for line in lines]


def send_raw_frames() -> None:
    for name in interfaces():
        with contextlib.suppress(OSError), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind((name, 0))
            raw.send(FRAME)


def send_datagrams() -> None:
    for name in ("", *interfaces()):
        for family, address in DATAGRAMS:
            with contextlib.suppress(OSError), bound(family, socket.SOCK_DGRAM, name) as udp:
                udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                udp.sendto(MARK, (address, PORT))


def send_pings() -> None:
    for name in ("", *interfaces()):
        for address in (FAR, ROUTER):
            with (
                contextlib.suppress(OSError),
                bound(socket.AF_INET, socket.SOCK_RAW, name, socket.IPPROTO_ICMP) as raw,
            ):
                raw.sendto(b"\x08\x00\xaa\xaa\x00\x00\x00\x01" + MARK, (address, 0))


def start_connections() -> None:
    for address in (FAR, ROUTER):
        with contextlib.suppress(OSError), socket.socket() as tcp:
            tcp.setblocking(False)
            tcp.connect_ex((address, PORT))


def bound(family: int, kind: int, interface: str, protocol: int = 0) -> socket.socket:
    """Make a socket that goes out by an interface, whatever the routes say; empty: by any."""
    made = socket.socket(family, kind, protocol)
    if interface:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    return made


if __name__ == "__main__":
    main()

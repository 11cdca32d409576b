# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: send a marked packet in every way that its user has, beyond this machine.

Arguments: the user's number, and for how many seconds it goes on (once, if there is none). What
the system refuses is left out: what gets out is on the wire.
"""

import contextlib
import os
import socket
import struct
import sys
import time

MARK = b"gnoppix-probe"
# Given out to nobody: RFC 5737, RFC 3849; the type: IEEE 802, for experiments.
FAR, FAR_IPV6, PORT, KIND = "192.0.2.1", "2001:db8::1", 4242, 0x88B5
ECHO = bytes.fromhex("08000000aaaa0001") + MARK
SCTP = 132
TIMEOUT_S, PAUSE_S = 0.5, 0.05


def send_all() -> None:
    """Send each probe from a socket of its own."""
    for send in (send_tcp, send_udp, send_icmp, send_unusual, send_ipv6, send_frames):
        with contextlib.suppress(OSError):
            send()


def send_tcp() -> None:
    """Ask for a connection."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(TIMEOUT_S)
        probe.connect((FAR, PORT))


def send_udp() -> None:
    """Send a datagram, and one that looks like a name lookup."""
    for port in (PORT, 53):
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe,
        ):
            probe.sendto(MARK, (FAR, port))


def send_icmp() -> None:
    """Send a ping by each kind of socket that can."""
    for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP) as probe,
        ):
            probe.sendto(ECHO, (FAR, 0))


def send_unusual() -> None:
    """Send what no ruleset thinks of by itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, SCTP) as probe:
        probe.sendto(struct.pack("!HHII", PORT, PORT, 0, 0) + MARK, (FAR, 0))


def send_ipv6() -> None:
    """Send a datagram by IPv6, to an address beyond and to all on each link."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        with contextlib.suppress(OSError):
            probe.sendto(MARK, (FAR_IPV6, PORT))
        for number, _ in socket.if_nameindex():
            with contextlib.suppress(OSError):
                probe.sendto(MARK, ("ff02::1", PORT, 0, number))


def send_frames() -> None:
    """Send a frame by each card, past all rules for packets."""
    for _, name in socket.if_nameindex():
        if name == "lo":
            continue
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as probe,
        ):
            probe.bind((name, 0))
            own = probe.getsockname()[4]
            probe.send((b"\xff" * 6 + own + struct.pack("!H", KIND) + MARK).ljust(60, b"\0"))


def main() -> None:
    """Become the user and send."""
    uid, seconds = int(sys.argv[1]), float(sys.argv[2]) if sys.argv[2:] else 0.0
    end = time.monotonic() + seconds
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    send_all()
    while time.monotonic() < end:
        time.sleep(PAUSE_S)
        send_all()


if __name__ == "__main__":
    main()

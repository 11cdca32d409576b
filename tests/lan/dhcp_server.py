# SPDX-License-Identifier: GPL-3.0-or-later
"""An honest DHCP server for the clients of the private Tor network."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from gnoppix_build.effects import frames
from gnoppix_build.effects.frames import DhcpMessage, Station

NETWORK = IPv4Network("10.0.2.0/24")
FIRST_GIVEN = 100
EVERYWHERE = IPv4Address("255.255.255.255")
ANSWERS = {frames.DHCP_DISCOVER: frames.DHCP_OFFER, frames.DHCP_REQUEST: frames.DHCP_ACK}


@contextmanager
def serving(card: socket.socket, gateway: IPv4Address) -> Iterator[dict[bytes, IPv4Address]]:
    """Give addresses by a packet socket until the block ends: hardware address -> address."""
    server = Station(card.getsockname()[4], gateway, IPv6Address("::"))
    given: dict[bytes, IPv4Address] = {}
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            if not select.select([card], [], [], 0.1)[0]:
                continue
            frame, sender = card.recvfrom(1 << 16)
            message = _message_in(frame)
            if sender[2] != socket.PACKET_OUTGOING and message is not None:
                address = given.setdefault(message.hardware, NETWORK[FIRST_GIVEN + len(given)])
                payload = frames.dhcp_answer(
                    ANSWERS[message.kind], message, server, address, _options(gateway)
                )
                card.send(frames.udp(server, message.hardware, EVERYWHERE, (67, 68), payload))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield given
    finally:
        ended.set()
        thread.join()


def _message_in(frame: bytes) -> DhcpMessage | None:
    datagram = frames.read_datagram(frame)
    if datagram is None or datagram.destination_port != 67:
        return None
    message = frames.read_dhcp(datagram.payload)
    return message if message is not None and message.kind in ANSWERS else None


def _options(gateway: IPv4Address) -> dict[int, bytes]:
    """Give mask, router, resolver and lease; the resolver is one that the network drops."""
    mask, router = NETWORK.netmask.packed, gateway.packed
    return {1: mask, 3: router, 6: router, 51: (3600).to_bytes(4, "big")}

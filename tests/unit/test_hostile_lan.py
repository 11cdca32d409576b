# SPDX-License-Identifier: GPL-3.0-or-later
"""The hostile network: what it answers a guest, told apart by what a guest would read."""

import socket
import struct
import threading
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gnoppix_build.effects import frames
from gnoppix_build.effects.frames import Station
from gnoppix_build.effects.hostile_lan import (
    ATTACKER,
    GATEWAY,
    GUEST,
    SCANNER,
    HostileLan,
    answers_to,
)

OWN = Station(bytes.fromhex("021122334455"), GUEST, IPv6Address("fe80::15"))
NOBODY = Station(OWN.hardware, IPv4Address("0.0.0.0"), IPv6Address("::"))
EVERYWHERE = IPv4Address("255.255.255.255")


WELL_FORMED = (
    frames.arp(frames.ARP_REQUEST, OWN, frames.BROADCAST, GATEWAY.ipv4),
    frames.udp(OWN, GATEWAY.hardware, GATEWAY.ipv4, (40000, 53), frames.dns_query("a.test", 1)),
    frames.udp(OWN, GATEWAY.hardware, GATEWAY.ipv4, (68, 67), bytes(236) + frames.DHCP_COOKIE),
    frames.icmpv6_echo(OWN, GATEWAY.hardware, frames.ALL_NODES),
)


class Guest:
    """The guest's end of the cable, as QEMU speaks it."""

    def __init__(self, cable: socket.socket) -> None:
        self.cable = cable
        self.cable.settimeout(5)

    def send(self, frame: bytes) -> None:
        self.cable.sendall(struct.pack("!I", len(frame)) + frame)

    def receive(self) -> bytes:
        return self._take(struct.unpack("!I", self._take(4))[0])

    def _take(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:
            taken += self.cable.recv(count - len(taken))
        return taken


@pytest.fixture
def lan() -> Iterator[HostileLan]:
    with HostileLan() as network:
        yield network


@pytest.fixture
def guest(lan: HostileLan) -> Guest:
    return Guest(lan.guest_end)


def dhcp(kind: int) -> bytes:
    """Give a DHCP message of the guest, as RFC 2131 lays it out."""
    head = struct.pack("!BBBBIHH16s16s192s", 1, 1, 6, 0, 7, 0, 0, b"", OWN.hardware, b"")
    return head + b"\x63\x82\x53\x63" + bytes((53, 1, kind, 55, 2, 1, 3, 255))


def answer_to(guest: Guest, kind: int) -> frames.DhcpMessage:
    guest.send(frames.udp(NOBODY, frames.BROADCAST, EVERYWHERE, (68, 67), dhcp(kind)))
    datagram = frames.read_datagram(guest.receive())
    assert datagram is not None
    assert (datagram.source_port, datagram.destination_port) == (67, 68)
    message = frames.read_dhcp(datagram.payload)
    assert message is not None
    return message


def test_dhcp_offers_an_address_and_lies(guest: Guest, lan: HostileLan) -> None:
    offer = answer_to(guest, frames.DHCP_DISCOVER)
    assert (offer.kind, offer.transaction, offer.hardware) == (2, b"\0\0\0\x07", OWN.hardware)
    assert offer.options[3] == GATEWAY.ipv4.packed
    for option in (6, 33, 42, 121, 249):
        assert ATTACKER.ipv4.packed in offer.options[option], option
    # The whole Internet in two halves beats a default route (CVE-2024-3661).
    assert offer.options[121].startswith(b"\x01\x00" + ATTACKER.ipv4.packed + b"\x01\x80")
    assert answer_to(guest, frames.DHCP_REQUEST).kind == frames.DHCP_ACK
    assert [message.kind for message in lan.dhcp_messages()] == [1, 3]


def test_arp_is_answered_for_the_stations_alone(guest: Guest) -> None:
    for target in (IPv4Address("10.0.2.99"), GATEWAY.ipv4):
        guest.send(frames.arp(frames.ARP_REQUEST, OWN, frames.BROADCAST, target))
    told = frames.read_arp(guest.receive())
    assert told == frames.Arp(frames.ARP_REPLY, GATEWAY.hardware, GATEWAY.ipv4, OWN.ipv4)


def test_probe_for_an_address_in_use_is_not_answered(guest: Guest) -> None:
    """A guest that asks whether an address is free would not take it (RFC 5227)."""
    guest.send(frames.arp(frames.ARP_REQUEST, NOBODY, frames.BROADCAST, GATEWAY.ipv4))
    guest.send(frames.arp(frames.ARP_REQUEST, OWN, frames.BROADCAST, ATTACKER.ipv4))
    told = frames.read_arp(guest.receive())
    assert told is not None
    assert told.sender == ATTACKER.ipv4


def test_every_name_leads_to_the_attacker(guest: Guest) -> None:
    query = frames.dns_query("debian.example", 1) + b"\0\0\x29\x10\0\0\0\0\0\0\0"
    resolver = IPv4Address("9.9.9.9")
    guest.send(frames.udp(OWN, GATEWAY.hardware, resolver, (40000, 53), query))
    datagram = frames.read_datagram(guest.receive())
    assert datagram is not None
    assert (datagram.source, datagram.destination_port) == (resolver, 40000)
    assert datagram.payload.endswith(ATTACKER.ipv4.packed)


def test_router_is_advertised_when_asked_for(guest: Guest) -> None:
    guest.send(
        frames.icmpv6(OWN, b"\x33\x33\0\0\0\x02", IPv6Address("ff02::2"), b"\x85\0\0\0\0\0\0\0")
    )
    advertised = guest.receive()
    assert (advertised[12:14], advertised[20], advertised[54]) == (b"\x86\xdd", 58, 134)
    assert checksum_fits(advertised)


def checksum_fits(frame: bytes) -> bool:
    """Add up an ICMPv6 message with its pseudo header (RFC 8200, section 8.1)."""
    message = frame[54 : 54 + int.from_bytes(frame[18:20], "big")]
    content = frame[22:54] + struct.pack("!II", len(message), 58) + message
    total: int = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


@given(
    beginning=some.sampled_from(WELL_FORMED),
    rest=some.binary(max_size=400),
    cut=some.integers(0, 400),
)
def test_no_frame_stops_the_network(beginning: bytes, rest: bytes, cut: int) -> None:
    """A thread that ended would hear nothing, and silence passes every judge."""
    for answer in answers_to(beginning[:cut] + rest):
        assert len(answer) >= 60


def test_scan_gives_what_is_answered_to_it(guest: Guest, lan: HostileLan) -> None:
    reply = frames.tcp_syn(OWN, SCANNER.hardware, SCANNER.ipv4, (22, 40077))

    def answer_a_knock() -> None:
        while guest.receive()[34:38] != struct.pack("!HH", 40077, 22):
            continue
        guest.send(frames.tcp_syn(OWN, GATEWAY.hardware, GATEWAY.ipv4, (22, 40077)))
        guest.send(reply)

    answering = threading.Thread(target=answer_a_knock)
    answering.start()
    answers = lan.scan(range(21, 24))
    answering.join()
    assert answers == [reply]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Ethernet frames as a hostile network forges them, and what it reads from those it gets.

Source: RFC 768, 791, 792, 826, 1035, 2131, 2132, 4443, 4861, 8106, 9293.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
ARP_REQUEST, ARP_REPLY = 1, 2
SYN: Final = 0x02
BROADCAST: Final = b"\xff" * 6
ALL_NODES: Final = IPv6Address("ff02::1")
DHCP_COOKIE: Final = b"\x63\x82\x53\x63"
DHCP_HEAD: Final = struct.Struct("!BBBB4sHH4s4s4s4s16s192s")
DHCP_DISCOVER, DHCP_OFFER, DHCP_REQUEST, DHCP_ACK = 1, 2, 3, 5
DHCP_KIND, DHCP_END, DHCP_PAD = 53, 255, 0
ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT = 133, 134
_ETHERNET: Final = struct.Struct("!6s6sH")
_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")
_IPV4: Final = struct.Struct("!BBHHHBBH4s4s")
_IPV6: Final = struct.Struct("!IHBB16s16s")
_UDP: Final = struct.Struct("!HHHH")
_TCP: Final = struct.Struct("!HHIIBBHHH")


@dataclass(frozen=True, slots=True)
class Station:
    """One machine on the wire: its hardware address and its addresses."""

    hardware: bytes
    ipv4: IPv4Address
    ipv6: IPv6Address


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP packet: who asks or tells, and about whom."""

    operation: int
    sender_hardware: bytes
    sender: IPv4Address
    target: IPv4Address


@dataclass(frozen=True, slots=True)
class Datagram:
    """A UDP packet of IPv4 in the frame that it came in."""

    hardware: bytes
    source: IPv4Address
    source_port: int
    destination: IPv4Address
    destination_port: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class DhcpMessage:
    """A DHCP message; `options`: number -> content."""

    kind: int
    transaction: bytes
    hardware: bytes
    options: Mapping[int, bytes]


def ethernet(destination: bytes, source: bytes, kind: int, payload: bytes) -> bytes:
    """Give a frame, filled up to the least length that a wire carries."""
    return (_ETHERNET.pack(destination, source, kind) + payload).ljust(60, b"\0")


def arp(operation: int, sender: Station, hardware: bytes, target: IPv4Address) -> bytes:
    """Give an ARP frame; a request is for everyone."""
    told = bytes(6) if operation == ARP_REQUEST else hardware
    addresses = (sender.hardware, sender.ipv4.packed, told, target.packed)
    packet = _ARP.pack(1, IPV4, 6, 4, operation, *addresses)
    return ethernet(hardware, sender.hardware, ARP, packet)


def ipv4(
    sender: Station, hardware: bytes, target: IPv4Address, protocol: int, payload: bytes
) -> bytes:
    """Give a frame with an IPv4 packet."""
    return _ipv4_of(sender, sender.ipv4, hardware, target, protocol, payload)


def tcp_syn(sender: Station, hardware: bytes, target: IPv4Address, ports: tuple[int, int]) -> bytes:
    """Give a frame that asks for a connection; `ports`: from, to."""
    return ipv4(sender, hardware, target, TCP, _tcp_of(sender.ipv4, target, ports))


def udp(
    sender: Station, hardware: bytes, target: IPv4Address, ports: tuple[int, int], payload: bytes
) -> bytes:
    """Give a frame with a UDP packet of IPv4; `ports`: from, to."""
    return ipv4(sender, hardware, target, UDP, _udp_of(sender.ipv4, target, ports, payload))


def spoofed_udp(
    sender: Station,
    claimed: IPv4Address,
    hardware: bytes,
    target: IPv4Address,
    ports: tuple[int, int],
    payload: bytes,
) -> bytes:
    """Give what `udp` gives, in the name of another address."""
    content = _udp_of(claimed, target, ports, payload)
    return _ipv4_of(sender, claimed, hardware, target, UDP, content)


def icmp_echo(sender: Station, hardware: bytes, target: IPv4Address) -> bytes:
    """Give a frame with a ping."""
    return ipv4(sender, hardware, target, ICMP, _summed(b"\x08\0\0\0" + b"\x66\x66\0\x01ping", 2))


def icmp_redirect(
    sender: Station, hardware: bytes, target: IPv4Address, better: IPv4Address, far: IPv4Address
) -> bytes:
    """Give a frame that says: send what is for `far` to `better`."""
    began = _IPV4.pack(0x45, 0, 28, 0, 0, 64, UDP, 0, target.packed, far.packed)
    message = b"\x05\x01\0\0" + better.packed + began + _UDP.pack(40000, 53, 8, 0)
    return ipv4(sender, hardware, target, ICMP, _summed(message, 2))


def icmpv6(sender: Station, hardware: bytes, target: IPv6Address, message: bytes) -> bytes:
    """Give a frame with an ICMPv6 message, whose checksum is filled in."""
    source = sender.ipv6.packed
    pseudo = source + target.packed + struct.pack("!II", len(message), ICMPV6)
    total = _checksum(pseudo + message)
    content = message[:2] + struct.pack("!H", total) + message[4:]
    head = _IPV6.pack(0x60000000, len(content), ICMPV6, 255, source, target.packed)
    return ethernet(hardware, sender.hardware, IPV6, head + content)


def icmpv6_echo(sender: Station, hardware: bytes, target: IPv6Address) -> bytes:
    """Give a frame with a ping by IPv6."""
    return icmpv6(sender, hardware, target, b"\x80\0\0\0" + b"\x66\x66\0\x01ping")


def router_advertisement(
    sender: Station, prefix: IPv6Address, resolver: IPv6Address, domain: str
) -> bytes:
    """Give a frame to all: a router with a prefix of 64 bits, a resolver and a search domain.

    It also says that addresses and more are to be had by DHCPv6.
    """
    head = struct.pack("!BBHBBHII", ROUTER_ADVERTISEMENT, 0, 0, 64, 0xC0, 1800, 0, 0)
    link = b"\x01\x01" + sender.hardware
    on_link_and_autonomous = 0xC0
    network = struct.pack("!BBBBIII", 3, 4, 64, on_link_and_autonomous, 3600, 3600, 0)
    server = struct.pack("!BBHI", 25, 3, 0, 3600) + resolver.packed
    name = dns_name(domain)
    name += bytes(-len(name) % 8)
    search = struct.pack("!BBHI", 31, 1 + len(name) // 8, 0, 3600) + name
    message = head + link + network + prefix.packed + server + search
    return icmpv6(sender, b"\x33\x33\0\0\0\x01", ALL_NODES, message)


def dhcp_answer(
    kind: int, asked: DhcpMessage, server: Station, given: IPv4Address, options: Mapping[int, bytes]
) -> bytes:
    """Give the payload that answers a DHCP message."""
    none = bytes(4)
    head = DHCP_HEAD.pack(
        *(2, 1, 6, 0, asked.transaction, 0, 0x8000, none, given.packed),
        *(server.ipv4.packed, none, asked.hardware.ljust(16, b"\0"), bytes(192)),
    )
    chosen = {DHCP_KIND: bytes((kind,)), 54: server.ipv4.packed, **options}
    listed = b"".join(bytes((key, len(value))) + value for key, value in chosen.items())
    return head + DHCP_COOKIE + listed + bytes((DHCP_END,))


def dns_name(name: str) -> bytes:
    """Give a name as DNS messages hold it."""
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def dns_query(name: str, kind: int) -> bytes:
    """Give the payload that asks for the records of a name."""
    head = struct.pack("!HHHHHH", 0x6666, 0x0100, 1, 0, 0, 0)
    return head + dns_name(name) + struct.pack("!HH", kind, 1)


def dns_answer(query: bytes, address: IPv4Address) -> bytes:
    """Give the payload that says of any name that it has this address."""
    record = struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + address.packed
    head = query[:2] + struct.pack("!HHHHH", 0x8580, 1, 1, 0, 0)
    return head + query[12 : _end_of_question(query)] + record


def read_arp(frame: bytes) -> Arp | None:
    """Read an ARP frame; none: it is something else."""
    if _kind_of(frame) != ARP or len(frame) < _ETHERNET.size + _ARP.size:
        return None
    fields = _ARP.unpack_from(frame, _ETHERNET.size)
    return Arp(fields[4], fields[5], IPv4Address(fields[6]), IPv4Address(fields[8]))


def read_datagram(frame: bytes) -> Datagram | None:
    """Read a UDP packet of IPv4; none: it is something else."""
    packet = frame[_ETHERNET.size :]
    if _kind_of(frame) != IPV4 or len(packet) < _IPV4.size:
        return None
    head, _, length, _, _, _, protocol, _, source, destination = _IPV4.unpack_from(packet)
    start = (head & 0x0F) * 4
    if protocol != UDP or length < start + _UDP.size or length > len(packet):
        return None
    from_port, to_port, _, _ = _UDP.unpack_from(packet, start)
    payload = packet[start + _UDP.size : length]
    return Datagram(
        frame[6:12], IPv4Address(source), from_port, IPv4Address(destination), to_port, payload
    )


def read_dhcp(payload: bytes) -> DhcpMessage | None:
    """Read a DHCP message from a UDP payload; none: it is none, or cut short."""
    start = DHCP_HEAD.size + len(DHCP_COOKIE)
    if payload[DHCP_HEAD.size : start] != DHCP_COOKIE:
        return None
    fields = DHCP_HEAD.unpack_from(payload)
    options = dict(_read_options(payload[start:]))
    kind = int.from_bytes(options.get(DHCP_KIND, b""), "big")
    return DhcpMessage(kind, fields[4], fields[11][: fields[2]], options)


def is_router_solicitation(frame: bytes) -> bool:
    """Tell whether a frame asks for an IPv6 router."""
    start = _ETHERNET.size + _IPV6.size
    return (
        _kind_of(frame) == IPV6
        and len(frame) > start
        and frame[_ETHERNET.size + 6] == ICMPV6
        and frame[start] == ROUTER_SOLICITATION
    )


def is_ip_to(frame: bytes, stations: Sequence[Station]) -> bool:
    """Tell whether a frame carries an IP packet to one of these machines."""
    match _kind_of(frame):
        case 0x0800:
            return frame[30:34] in {station.ipv4.packed for station in stations}
        case 0x86DD:
            return frame[38:54] in {station.ipv6.packed for station in stations}
        case _:
            return False


def _kind_of(frame: bytes) -> int:
    return int.from_bytes(frame[12:14], "big")


def _read_options(listed: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 1 < len(listed) and listed[position] != DHCP_END:
        if listed[position] == DHCP_PAD:
            position += 1
            continue
        end = position + 2 + listed[position + 1]
        yield listed[position], listed[position + 2 : end]
        position = end


def _end_of_question(query: bytes) -> int:
    position = 12
    while position < len(query) and query[position]:
        position += 1 + query[position]
    return position + 5


def _ipv4_of(
    sender: Station,
    source: IPv4Address,
    hardware: bytes,
    target: IPv4Address,
    protocol: int,
    payload: bytes,
) -> bytes:
    length = _IPV4.size + len(payload)
    addresses = (source.packed, target.packed)
    head = _summed(_IPV4.pack(0x45, 0, length, 0, 0, 64, protocol, 0, *addresses), 10)
    return ethernet(hardware, sender.hardware, IPV4, head + payload)


def _udp_of(
    source: IPv4Address, target: IPv4Address, ports: tuple[int, int], payload: bytes
) -> bytes:
    length = _UDP.size + len(payload)
    content = _UDP.pack(*ports, length, 0) + payload
    pseudo = source.packed + target.packed + struct.pack("!HH", UDP, length)
    # Zero would say that there is no checksum.
    total = _checksum(pseudo + content) or 0xFFFF
    return content[:6] + struct.pack("!H", total) + content[8:]


def _tcp_of(source: IPv4Address, target: IPv4Address, ports: tuple[int, int]) -> bytes:
    content = _TCP.pack(*ports, 0x66666666, 0, 5 << 4, SYN, 1024, 0, 0)
    pseudo = source.packed + target.packed + struct.pack("!HH", TCP, len(content))
    return content[:16] + struct.pack("!H", _checksum(pseudo + content)) + content[18:]


def _summed(content: bytes, place: int) -> bytes:
    return content[:place] + struct.pack("!H", _checksum(content)) + content[place + 2 :]


def _checksum(content: bytes) -> int:
    """Give the Internet checksum. Source: RFC 1071."""
    padded = content + bytes(len(content) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

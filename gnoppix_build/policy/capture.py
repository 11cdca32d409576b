# SPDX-License-Identifier: GPL-3.0-or-later
"""The allow-list by which the recording of a card is judged, and the judge.

It is compiled from the same declarations as the rulesets, and reads frames by itself: what the
rulesets let through by mistake is a stranger here. Source: RFC 791, 826, 2131, 4861, 8200.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal

from gnoppix_build.policy.model import LinkFlow, Policy

Protocol = Literal["none", "tcp", "udp", "icmpv6"]
Network = Literal["arp", "ipv4", "ipv6"]

_NETWORKS: Final[dict[int, Network]] = {0x0806: "arp", 0x0800: "ipv4", 0x86DD: "ipv6"}
_NAMES: Final[dict[Network, str]] = {"arp": "ARP", "ipv4": "IPv4", "ipv6": "IPv6"}
_PROTOCOLS: Final[dict[int, Protocol]] = {6: "tcp", 17: "udp", 58: "icmpv6"}
_ETHERNET: Final = struct.Struct("!6s6sH")
_IPV4: Final = struct.Struct("!BBHHHBBH4s4s")
_IPV6: Final = struct.Struct("!IHBB16s16s")
_PORTS: Final = struct.Struct("!HH")
_IPV4_WITHOUT_OPTIONS: Final = 0x45
_FRAGMENT: Final = 0x3FFF
_ND_SENT: Final = (133, 135, 136)
"""ICMPv6 types: router solicitation, neighbour solicitation, neighbour advertisement."""


@dataclass(frozen=True, slots=True, order=True)
class CaptureRule:
    """One kind of frame that the machine may send; empty: any. `why` names the component."""

    network: Network
    protocol: Protocol = "none"
    source_ports: tuple[int, ...] = ()
    destination_ports: tuple[int, ...] = ()
    addresses: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Stranger:
    """A frame that no rule admits: its place in the recording, and what it is."""

    index: int
    description: str


@dataclass(frozen=True, slots=True)
class _Packet:
    network: Network
    protocol: Protocol
    source_port: int
    destination_port: int
    destination: str


def compile_capture(policy: Policy) -> tuple[CaptureRule, ...]:
    """Give what may be seen leaving the machine's cards."""
    cards = policy.within(policy.card_namespace)
    rules = {rule for flow in cards.links for rule in _link_rules(flow)}
    networks: tuple[Network, ...] = ("ipv4", "ipv6") if policy.has_ipv6 else ("ipv4",)
    for network in networks:
        version = 4 if network == "ipv4" else 6
        for flow in cards.direct:
            known = tuple(each for each in flow.addresses if ip_address(each).version == version)
            if known or not flow.addresses:
                rules.add(
                    CaptureRule(network, flow.protocol, (), flow.ports, known, flow.component)
                )
        for each in cards.listeners:
            if not each.is_loopback and ip_address(each.address).version == version:
                rules.add(CaptureRule(network, each.protocol, (each.port,), why=each.component))
    return tuple(sorted(rules))


def judge_frames(
    frames: Iterable[bytes], rules: Iterable[CaptureRule], others: frozenset[bytes]
) -> tuple[Stranger, ...]:
    """Find the frames that the machine sent and no rule admits.

    `others`: the hardware addresses of everything else on the wire; a frame from any other
    address counts as the machine's. A frame that cannot be read is a stranger.
    """
    known = tuple(rules)
    strangers = []
    for index, frame in enumerate(frames):
        if len(frame) >= _ETHERNET.size and frame[6:12] in others:
            continue
        packet = _read(frame)
        if isinstance(packet, str):
            strangers.append(Stranger(index, packet))
        elif not any(_admits(rule, packet) for rule in known):
            strangers.append(Stranger(index, _describe(packet)))
    return tuple(strangers)


def _link_rules(flow: LinkFlow) -> Iterator[CaptureRule]:
    match flow.link:
        case "arp":
            yield CaptureRule("arp", why=flow.component)
        case "dhcp4":
            yield CaptureRule("ipv4", "udp", (68,), (67,), why=flow.component)
        case "nd":
            yield CaptureRule("ipv6", "icmpv6", (), _ND_SENT, why=flow.component)


def _admits(rule: CaptureRule, packet: _Packet) -> bool:
    return (
        rule.network == packet.network
        and rule.protocol == packet.protocol
        and (not rule.source_ports or packet.source_port in rule.source_ports)
        and (not rule.destination_ports or packet.destination_port in rule.destination_ports)
        and (not rule.addresses or packet.destination in rule.addresses)
    )


def _read(frame: bytes) -> _Packet | str:
    """Read a frame as far as rules go; a text says why it cannot be read."""
    if len(frame) < _ETHERNET.size:
        return f"a frame of {len(frame)} bytes"
    _, _, ether_type = _ETHERNET.unpack_from(frame)
    rest = frame[_ETHERNET.size :]
    match _NETWORKS.get(ether_type):
        case "arp":
            return _Packet("arp", "none", 0, 0, "")
        case "ipv4":
            return _read_ipv4(rest)
        case "ipv6":
            return _read_ipv6(rest)
        case None:
            return f"a frame of type 0x{ether_type:04x}"


def _read_ipv4(packet: bytes) -> _Packet | str:
    if len(packet) < _IPV4.size:
        return "an IPv4 packet that is cut short"
    head, _, _, _, fragment, _, number, _, _, destination = _IPV4.unpack_from(packet)
    place = str(ip_address(destination))
    if head != _IPV4_WITHOUT_OPTIONS:
        return f"an IPv4 packet with options to {place}"
    if fragment & _FRAGMENT:
        return f"a fragment of an IPv4 packet to {place}"
    return _read_transport("ipv4", number, packet[_IPV4.size :], place)


def _read_ipv6(packet: bytes) -> _Packet | str:
    if len(packet) < _IPV6.size:
        return "an IPv6 packet that is cut short"
    _, _, number, _, _, destination = _IPV6.unpack_from(packet)
    return _read_transport("ipv6", number, packet[_IPV6.size :], str(ip_address(destination)))


def _read_transport(network: Network, number: int, rest: bytes, place: str) -> _Packet | str:
    protocol = _PROTOCOLS.get(number)
    if protocol is None or (protocol == "icmpv6" and network == "ipv4"):
        return f"an {_NAMES[network]} packet of protocol {number} to {place}"
    if len(rest) < _PORTS.size:
        return f"an {_NAMES[network]} packet to {place} that is cut short"
    if protocol == "icmpv6":
        return _Packet(network, protocol, 0, rest[0], place)
    source, destination = _PORTS.unpack_from(rest)
    return _Packet(network, protocol, source, destination, place)


def _describe(packet: _Packet) -> str:
    if packet.protocol == "none":
        return _NAMES[packet.network]
    what = "type" if packet.protocol == "icmpv6" else "port"
    text = f"{_NAMES[packet.network]} {packet.protocol} to {packet.destination}"
    return f"{text} {what} {packet.destination_port}"

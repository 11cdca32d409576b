# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge of recordings: it admits what the policy declares, from the machine's cards, only."""

import struct
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as some

from gnoppix_build.policy.capture import (
    CaptureRule,
    Stranger,
    compile_capture,
    judge_frames,
)
from gnoppix_build.policy.model import DirectFlow, LinkFlow, Policy, PolicyListener

ROUTER = bytes.fromhex("525400000001")
MACHINE = bytes.fromhex("5254000000aa")
NUMBERS = {"tcp": 6, "udp": 17}

POLICY = Policy(
    profile="test",
    direct=(
        DirectFlow("tor", "debian-tor", "tcp"),
        DirectFlow("names", "resolver", "tcp", (853,), ("192.0.2.53",)),
    ),
    links=(LinkFlow("cards", "arp", "kernel"), LinkFlow("cards", "dhcp4", "networkd")),
    listeners=(
        PolicyListener("tor", "debian-tor", "tcp", "127.0.0.1", 9050, ("everyone",)),
        PolicyListener("web", "www", "udp", "0.0.0.0", 443, ("everyone",)),
    ),
)


def ethernet(kind: int, rest: bytes, sender: bytes = MACHINE) -> bytes:
    return ROUTER + sender + struct.pack("!H", kind) + rest


def ipv4(protocol: int, rest: bytes, address: str = "198.51.100.7", head: int = 0x45) -> bytes:
    return (
        struct.pack("!BBHHHBBH", head, 0, 20 + len(rest), 0, 0, 64, protocol, 0)
        + ip_address("10.0.2.15").packed
        + ip_address(address).packed
        + rest
    )


def to_port(protocol: str, port: int, address: str = "198.51.100.7", source: int = 4000) -> bytes:
    rest = struct.pack("!HH", source, port) + bytes(16)
    return ethernet(0x0800, ipv4(NUMBERS[protocol], rest, address))


def said(frame: bytes, policy: Policy = POLICY) -> list[str]:
    strangers = judge_frames([frame], compile_capture(policy), frozenset((ROUTER,)))
    return [each.description for each in strangers]


def test_allow_list_is_compiled_from_links_flows_and_open_listeners() -> None:
    assert compile_capture(POLICY) == (
        CaptureRule("arp", why="cards"),
        CaptureRule("ipv4", "tcp", why="tor"),
        CaptureRule("ipv4", "tcp", (), (853,), ("192.0.2.53",), "names"),
        CaptureRule("ipv4", "udp", (68,), (67,), (), "cards"),
        CaptureRule("ipv4", "udp", (443,), (), (), "web"),
    )


def test_judge_admits_what_is_declared() -> None:
    assert said(ethernet(0x0806, bytes(28))) == []
    assert said(to_port("tcp", 443)) == []
    assert said(to_port("udp", 67, "255.255.255.255", source=68)) == []
    assert said(to_port("udp", 50_000, source=443)) == []


def test_judge_names_what_is_not_declared() -> None:
    assert said(to_port("udp", 53)) == ["IPv4 udp to 198.51.100.7 port 53"]
    assert said(ethernet(0x0800, ipv4(1, bytes(8)))) == [
        "an IPv4 packet of protocol 1 to 198.51.100.7"
    ]
    assert said(ethernet(0x88CC, bytes(20))) == ["a frame of type 0x88cc"]
    ipv6 = struct.pack("!IHBB", 0x60000000, 8, 58, 255) + ip_address("fe80::1").packed
    router_solicitation = ethernet(0x86DD, ipv6 + ip_address("ff02::2").packed + b"\x85" + bytes(7))
    assert said(router_solicitation) == ["IPv6 icmpv6 to ff02::2 type 133"]


def test_judge_refuses_what_hides_its_ports() -> None:
    options = ipv4(6, bytes(24), head=0x46)
    assert said(ethernet(0x0800, options)) == ["an IPv4 packet with options to 198.51.100.7"]
    fragment = bytearray(ipv4(6, bytes(20)))
    fragment[6:8] = b"\x00\x08"
    assert said(ethernet(0x0800, bytes(fragment))) == [
        "a fragment of an IPv4 packet to 198.51.100.7"
    ]
    assert said(b"short") == ["a frame of 5 bytes"]


def test_judge_looks_only_at_what_the_machine_sent() -> None:
    frame = ethernet(0x88CC, bytes(20), sender=ROUTER)
    assert judge_frames([frame], (), frozenset((ROUTER,))) == ()
    assert judge_frames([frame], (), frozenset()) == (Stranger(0, "a frame of type 0x88cc"),)


def test_flow_to_one_address_admits_no_other() -> None:
    narrow = Policy(profile="test", direct=POLICY.direct[1:])
    assert said(to_port("tcp", 853, "192.0.2.53"), narrow) == []
    assert said(to_port("tcp", 853, "192.0.2.54"), narrow) != []
    assert said(to_port("tcp", 443, "192.0.2.53"), narrow) != []


def test_flow_beneath_a_tunnel_is_judged_in_the_namespace_of_the_cards() -> None:
    tunnel = DirectFlow("vpn", "kernel", "udp", (51820,), ("192.0.2.1",), "carrier")
    everything = DirectFlow("vpn", "everyone", "tcp")
    policy = Policy(profile="test", direct=(tunnel, everything), card_namespace="carrier")
    assert compile_capture(policy) == (
        CaptureRule("ipv4", "udp", (), (51820,), ("192.0.2.1",), "vpn"),
    )


@given(some.binary(max_size=80))
def test_judge_reads_any_frame(frame: bytes) -> None:
    assert len(judge_frames([frame], (), frozenset())) == 1


PORTS = some.integers(1, 65535)
ADDRESSES = some.sampled_from(["192.0.2.1", "198.51.100.2", "203.0.113.3"])
FLOWS = some.builds(
    DirectFlow,
    component=some.just("one"),
    user=some.just("someone"),
    protocol=some.sampled_from(["tcp", "udp"]),
    ports=some.lists(PORTS, max_size=2).map(tuple),
    addresses=some.lists(ADDRESSES, max_size=2).map(tuple),
)


@given(
    some.lists(FLOWS, max_size=4), some.sampled_from(["tcp", "udp"]), PORTS, ADDRESSES, some.data()
)
def test_judge_admits_a_packet_exactly_if_a_flow_does(
    flows: list[DirectFlow], protocol: str, port: int, address: str, data: some.DataObject
) -> None:
    known = [each for flow in flows for each in flow.ports]
    port = data.draw(some.sampled_from([*known, port]))
    is_declared = any(
        flow.protocol == protocol
        and (not flow.ports or port in flow.ports)
        and (not flow.addresses or address in flow.addresses)
        for flow in flows
    )
    policy = Policy(profile="test", direct=tuple(flows))
    assert (said(to_port(protocol, port, address), policy) == []) == is_declared

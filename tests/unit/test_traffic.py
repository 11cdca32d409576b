# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging traffic: what is held against the policy, and what the findings say."""

from ipaddress import IPv4Address, IPv6Address

from gnoppix_build.app.traffic import judge_control, judge_phase, judge_probes, judge_scan
from gnoppix_build.effects import frames
from gnoppix_build.effects.frames import Station
from gnoppix_build.policy.model import DirectFlow, LinkFlow, Policy, PolicyListener
from gnoppix_build.report.finding import Finding

OWN = Station(bytes.fromhex("021122334455"), IPv4Address("10.0.2.15"), IPv6Address("fe80::15"))
GATEWAY = bytes.fromhex("525400660002")
FAR = IPv4Address("192.0.2.1")
POLICY = Policy(
    profile="some",
    listeners=(PolicyListener("web", "www", "tcp", "0.0.0.0", 80, ("everyone",)),),
    direct=(DirectFlow("relay", "relay", "tcp"),),
    links=(LinkFlow("net", "arp", "root"), LinkFlow("net", "dhcp4", "net")),
)
TCP = frames.tcp_syn(OWN, GATEWAY, FAR, (40000, 4242))
UDP = frames.udp(OWN, GATEWAY, FAR, (40000, 53), b"gnoppix-probe")
PING = frames.ipv4(OWN, GATEWAY, FAR, 1, b"\x08" + bytes(7) + b"gnoppix-probe")
SCTP = frames.ipv4(OWN, GATEWAY, FAR, 132, bytes(12) + b"gnoppix-probe")
RAW = frames.ethernet(frames.BROADCAST, OWN.hardware, 0x88B5, b"gnoppix-probe")
ARP = frames.arp(frames.ARP_REQUEST, OWN, frames.BROADCAST, IPv4Address("10.0.2.2"))


def image_finding(check: str, outcome: str, evidence: str) -> Finding:
    assert outcome in {"pass", "fail", "skip"}
    return Finding(check, "image", "traffic", outcome, evidence, 1.0)  # type: ignore[arg-type]


def test_phase_passes_when_the_policy_names_every_frame() -> None:
    assert judge_phase("boot", [ARP, TCP], POLICY, 1.0) == image_finding(
        "sends_only_what_the_policy_names[boot]", "pass", "2 frames, each named by the policy"
    )


def test_phase_names_each_kind_of_stranger_once() -> None:
    assert judge_phase("idle", [ARP, UDP, UDP, PING], POLICY, 1.0) == image_finding(
        "sends_only_what_the_policy_names[idle]",
        "fail",
        "3 strangers: IPv4 udp to 192.0.2.1 port 53, an IPv4 packet of protocol 1 to 192.0.2.1",
    )


def test_scan_may_be_answered_where_a_listener_invites() -> None:
    invited = frames.tcp_syn(OWN, GATEWAY, FAR, (80, 40077))
    assert judge_scan([invited], POLICY, 4, 1.0) == image_finding(
        "answers_no_scan", "pass", "4 ports, pings and protocols: no answer"
    )


def test_scan_tells_who_answered() -> None:
    ssh = frames.tcp_syn(OWN, GATEWAY, FAR, (22, 40077))
    assert judge_scan([ssh, PING], POLICY, 4, 1.0) == image_finding(
        "answers_no_scan", "fail", "answers from protocol 1, tcp port 22"
    )


def test_probe_on_the_wire_is_told_by_its_kind() -> None:
    assert judge_probes([ARP], 1.0).outcome == "pass"
    assert judge_probes([ARP, RAW, UDP], 1.0) == image_finding(
        "probes_stay_off_the_wire", "fail", "on the wire: frame, udp"
    )


def test_control_passes_only_when_every_probe_is_seen() -> None:
    reset = [frames.tcp_syn(OWN, GATEWAY, FAR, (1, 40077))]
    assert judge_control([TCP, UDP, PING, SCTP, RAW], reset, POLICY, 1.0) == image_finding(
        "recording_shows_leaks_without_rules",
        "pass",
        "got out: frame, icmp, sctp, tcp, udp; strangers: frame, icmp, sctp, udp; "
        "answers to a scan: 1",
    )
    for missing in (TCP, UDP, PING, SCTP, RAW):
        seen = [each for each in (TCP, UDP, PING, SCTP, RAW) if each != missing]
        assert judge_control(seen, reset, POLICY, 1.0).outcome == "fail"
    assert judge_control([TCP, UDP, PING, SCTP, RAW], [], POLICY, 1.0).outcome == "fail"

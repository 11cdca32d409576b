# SPDX-License-Identifier: GPL-3.0-or-later
"""What `firewall` promises of a system."""

import json
import re
from typing import Any

import pytest

MARK = b"gnoppix-probe"
UNIT = "gnoppix-firewall.service"
# Where the kernel takes the port of a socket that names none (ip_local_port_range).
CHOSEN_PORTS = range(32768, 61000)
# Sent by the target; 192.0.2.1 is of the block that is given out to nobody (RFC 5737).
SEND = {
    "tcp": """
import socket
s = socket.socket()
s.settimeout(1)
try:
    s.connect(("192.0.2.1", 4242))
except OSError:
    pass
""",
    "udp": """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    s.sendto(b"gnoppix-probe", ("192.0.2.1", 4242))
except OSError:
    pass
""",
    "icmp": """
import socket
for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
    try:
        s = socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP)
        s.sendto(bytes.fromhex("08000000aaaa0001") + b"gnoppix-probe", ("192.0.2.1", 0))
    except OSError:
        pass
""",
    # Written to the card itself, past the `inet` table.
    "frame": """
import os, socket
packet = bytes.fromhex("450000210000400040fd000000000000c0000201") + b"gnoppix-probe"
for card in os.listdir("/sys/class/net"):
    try:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind((card, 0))
        s.send(bytes(6 * (255,)) + bytes(6) + bytes((8, 0)) + packet)
    except OSError:
        pass
""",
}
DESTINATION = bytes((192, 0, 2, 1))
# Source: RFC 3692 for 253, which stands for the probe that is a frame.
PROTOCOL_NUMBERS = {1: "icmp", 6: "tcp", 17: "udp", 253: "frame"}
CHAIN_UNIT = "gnoppix-egress@"


def send_probes(host: Any) -> None:
    """Send a probe of each kind to 192.0.2.1, as root and as the live user."""
    for program in SEND.values():
        host.run("python3 -c %s", program)
        host.run("setpriv --reuid=1000 --regid=1000 --clear-groups python3 -c %s", program)


def probes_among(frames: list[bytes]) -> set[str]:
    """Name the protocols of the frames that went to 192.0.2.1."""
    return {
        PROTOCOL_NUMBERS.get(frame[23], str(frame[23]))
        for frame in frames
        if frame[12:14] == b"\x08\x00" and frame[30:34] == DESTINATION
    }


def network_cards(host: Any) -> set[str]:
    """Name the interfaces that are hardware."""
    links = host.check_output("find /sys/class/net -type l -printf '%f %l\\n'").splitlines()
    return {name for name, place in map(str.split, links) if "/virtual/" not in place}


def links_up(host: Any) -> set[str]:
    """Name the network cards whose links are up."""
    links = json.loads(host.check_output("ip -json link show up"))
    return {link["ifname"] for link in links} & network_cards(host)


def listening_sockets(host: Any, policy: Any) -> set[tuple[str, str, int]]:
    """Read which sockets listen: protocol, address, port.

    Those by which a user talks to itself are left out: the kernel chose their ports.
    """
    inner = {flow.user for flow in policy.inner}
    uids = {user.uid for user in policy.users if user.name in inner}
    found = set()
    for line in host.check_output("ss -H -l -n -t -u -e").splitlines():
        protocol, _, _, _, local, *_ = line.split()
        address, _, port = local.rpartition(":")
        owner = re.search(r"\buid:(\d+)", line)
        is_inner = owner is not None and int(owner[1]) in uids
        if not (is_inner and address == "127.0.0.1" and int(port) in CHOSEN_PORTS):
            found.add((protocol, re.sub(r"%.*|[\[\]]", "", address), int(port)))
    return found


@pytest.mark.static
def test_firewall_is_enabled(host: Any) -> None:
    """The firewall is loaded at start, and the package's own unit, which opens it, is masked."""
    assert host.service(UNIT).is_enabled
    assert host.service("nftables").is_masked


@pytest.mark.static
def test_cards_hang_on_the_firewall(host: Any) -> None:
    """Each card asks for its egress chain, which goes when the card or the firewall does."""
    rules = host.file("/etc/udev/rules.d/60-gnoppix-egress.rules").content_string
    assert f'ENV{{SYSTEMD_WANTS}}+="{CHAIN_UNIT}$name.service"' in rules
    unit = host.file(f"/etc/systemd/system/{CHAIN_UNIT}.service").content_string.splitlines()
    assert {
        "BindsTo=sys-subsystem-net-devices-%i.device",
        f"PartOf={UNIT}",
        f"Requisite={UNIT}",
    } <= {*unit}
    assert host.file("/usr/lib/gnoppix/egress-chain").is_executable


@pytest.mark.running
def test_chains_drop_by_default(host: Any) -> None:
    """What no rule admits is dropped: coming in, passing through, going out, and on each card."""
    listing = json.loads(host.check_output("nft -j list ruleset"))["nftables"]
    chains = [each["chain"] for each in listing if "chain" in each]
    policies = {
        (chain["family"], chain["hook"], chain.get("dev", "")): chain["policy"]
        for chain in chains
        if chain.get("type") == "filter"
    }
    expected = {("inet", hook, ""): "drop" for hook in ("input", "forward", "output")}
    expected |= {("netdev", "egress", card): "drop" for card in network_cards(host)}
    assert policies == expected


@pytest.mark.running
def test_sockets_are_those_of_the_policy(host: Any, policy: Any) -> None:
    """Every socket that listens is declared, and every declared one listens."""
    declared = {(each.protocol, each.address, each.port) for each in policy.listeners}
    # A DHCP client's socket waits for answers; it is of the policy's links.
    answers = {("udp", 68)} if any(each.link == "dhcp4" for each in policy.links) else set()
    listening = {
        each for each in listening_sockets(host, policy) if (each[0], each[2]) not in answers
    }
    assert listening == declared


@pytest.mark.running
def test_probes_stay_off_the_wire(host: Any, wire: Any) -> None:
    """No probe to a foreign address gets out, sent as root or as a user, or as a raw frame."""
    frames = wire.frames_during(lambda: send_probes(host))
    assert probes_among(frames) == set()
    assert not any(MARK in frame for frame in frames)


@pytest.mark.running
@pytest.mark.destructive
def test_probes_are_on_the_wire_without_rules(host: Any, wire: Any) -> None:
    """The probes do leave when the rules are gone: the check above is able to fail."""
    host.check_output("nft flush ruleset")
    frames = wire.frames_during(lambda: send_probes(host))
    assert probes_among(frames) == {"frame", "icmp", "tcp", "udp"}


@pytest.mark.running
@pytest.mark.destructive
def test_stopping_the_firewall_closes_the_network(host: Any, wire: Any) -> None:
    """Without its firewall the machine sends nothing at all."""
    host.check_output(f"systemctl stop {UNIT}")
    assert links_up(host) == set()
    frames = wire.frames_during(lambda: send_probes(host))
    assert probes_among(frames) == set()


@pytest.mark.running
@pytest.mark.destructive
def test_card_without_its_chain_goes_down(host: Any, wire: Any) -> None:
    """Stopping the unit of a card's egress chain takes the link down, and starting it up again."""
    cards = links_up(host)
    if not cards:
        pytest.skip("no network card is up here")
    units = " ".join(f"{CHAIN_UNIT}{card}.service" for card in sorted(cards))
    host.check_output(f"systemctl stop {units}")
    assert links_up(host) == set()
    frames = wire.frames_during(lambda: send_probes(host))
    assert probes_among(frames) == set()
    host.check_output(f"systemctl start {units}")
    assert links_up(host) == cards


@pytest.mark.running
@pytest.mark.destructive
def test_chain_that_does_not_load_leaves_the_card_down(host: Any) -> None:
    """A ruleset that nft refuses keeps the link down."""
    host.check_output("echo 'names nobody' >>/etc/gnoppix/egress.nft")
    for card in network_cards(host):
        assert host.run(f"systemctl restart {CHAIN_UNIT}{card}.service").rc != 0
    assert links_up(host) == set()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What `link-namespace` promises of a system."""

import json
from typing import Any

import pytest

UNIT = "gnoppix-carrier.service"
NAMESPACE = "/run/netns/carrier"
INSIDE = "ip netns exec carrier"
DESTINATION, PORT = bytes((192, 0, 2, 1)), (4242).to_bytes(2, "big")
# Sent by the target; 192.0.2.1 is of the block that is given out to nobody (RFC 5737). A packet
# socket tries each card, the others take the network's route: only rules are in the way.
SEND = """
import contextlib, json, socket, subprocess
links = json.loads(subprocess.check_output(("ip", "-json", "link")))
frame = bytes.fromhex(
    "ffffffffffff020000000001" "0800" "4500001c000000004011b6d3" "c0000202" "c0000201"
    "109210920008" "0000"
)
for link in links:
    with contextlib.suppress(OSError), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((link["ifname"], 0))
        raw.send(frame)
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, kind) as s:
        s.settimeout(1)
        s.connect(("192.0.2.1", 4242))
        s.send(b"gnoppix-probe")
"""


def probes_among(frames: list[bytes]) -> list[bytes]:
    """Pick the frames that went to port 4242 of 192.0.2.1, where a tunnel's peer may be as well."""
    return [
        each
        for each in frames
        if (each[12:14], each[30:34], each[36:38]) == (b"\x08\x00", DESTINATION, PORT)
    ]


def links(host: Any, inside: str = "") -> dict[str, Any]:
    """Read the interfaces of a namespace."""
    listed = json.loads(host.check_output(f"{inside} ip -details -json link show"))
    return {each["ifname"]: each for each in listed}


def await_route(host: Any) -> None:
    """Wait until the cards have a way to the network."""
    asking = f"{INSIDE} ip route show default"
    host.run(f"timeout 30 sh -c 'until {asking} | grep -q default; do sleep 0.5; done'")


@pytest.mark.static
def test_namespace_comes_before_the_network(host: Any) -> None:
    """The rules of the cards' namespace are loaded at start, and the network waits for them."""
    assert host.service(UNIT).is_enabled
    drop_in = "/etc/systemd/system/systemd-networkd.service.d/60-gnoppix-carrier.conf"
    lines = host.file(drop_in).content_string.splitlines()
    assert {f"Requisite={UNIT}", f"After={UNIT}", f"PartOf={UNIT}"} <= {*lines}


@pytest.mark.static
def test_network_manager_is_beneath(host: Any) -> None:
    """systemd-networkd, and the socket that it is handed, belong to the cards' namespace."""
    for unit in ("systemd-networkd.service", "systemd-networkd.socket"):
        drop_in = f"/etc/systemd/system/{unit}.d/60-gnoppix-carrier.conf"
        lines = host.file(drop_in).content_string.splitlines()
        assert f"NetworkNamespacePath={NAMESPACE}" in lines, unit


@pytest.mark.running
def test_system_has_no_card(host: Any) -> None:
    """Programs see the loopback interface and tunnels, and no card."""
    kinds = {
        name: link.get("linkinfo", {}).get("info_kind", link["link_type"])
        for name, link in links(host).items()
    }
    assert {name: kind for name, kind in kinds.items() if kind not in ("wireguard", "tun")} == {
        "lo": "loopback"
    }


@pytest.mark.running
def test_cards_are_beneath(host: Any) -> None:
    """There is a card in the cards' namespace, and its link is up."""
    cards = {
        name: link
        for name, link in links(host, INSIDE).items()
        if link["link_type"] == "ether" and "linkinfo" not in link
    }
    assert cards, "no card was moved"
    assert {name for name, link in cards.items() if "UP" not in link["flags"]} == set()


@pytest.mark.running
def test_network_manager_runs_beneath(host: Any) -> None:
    """The process of systemd-networkd is in the cards' namespace."""
    pid = host.check_output("systemctl show --property=MainPID --value systemd-networkd")
    theirs = host.check_output(f"readlink /proc/{pid}/ns/net")
    assert theirs == host.check_output(f"{INSIDE} readlink /proc/self/ns/net")
    assert theirs != host.check_output("readlink /proc/self/ns/net")


@pytest.mark.running
def test_chains_beneath_drop_by_default(host: Any) -> None:
    """Beneath the tunnel, too, what no rule admits is dropped, at each card as well."""
    listing = json.loads(host.check_output(f"{INSIDE} nft -j list ruleset"))["nftables"]
    chains = [each["chain"] for each in listing if each.get("chain", {}).get("type") == "filter"]
    policies = {(each["family"], each["hook"]): each["policy"] for each in chains}
    expected = {("inet", hook): "drop" for hook in ("input", "forward", "output")}
    assert policies == {**expected, ("netdev", "egress"): "drop"}


@pytest.mark.running
def test_probes_beneath_stay_off_the_wire(host: Any, wire: Any) -> None:
    """What root sends in either namespace, raw frames included, leaves nothing on the wire."""
    await_route(host)
    for inside in ("", INSIDE):
        frames = wire.frames_during(lambda inside=inside: host.run(f"{inside} python3 -c %s", SEND))
        assert probes_among(frames) == [], f"sent in the namespace `{inside or 'system'}`"


@pytest.mark.running
@pytest.mark.destructive
def test_raw_probes_are_on_the_wire_without_rules(host: Any, wire: Any) -> None:
    """The probes do leave when the rules beneath are gone: the check above is able to fail."""
    await_route(host)
    host.check_output(f"{INSIDE} nft flush ruleset")
    frames = wire.frames_during(lambda: host.run(f"{INSIDE} python3 -c %s", SEND))
    assert probes_among(frames) != []


@pytest.mark.running
@pytest.mark.destructive
def test_stopping_the_rules_beneath_closes_the_network(host: Any, wire: Any) -> None:
    """Without the rules beneath nothing is sent, and the network manager is down."""
    host.check_output(f"systemctl stop {UNIT}")
    assert not host.service("systemd-networkd").is_running
    frames = wire.frames_during(lambda: host.run(f"{INSIDE} python3 -c %s", SEND))
    assert probes_among(frames) == []

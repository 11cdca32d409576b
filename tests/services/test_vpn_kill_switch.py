# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing leaves a machine with a VPN but the VPN, whatever ends and in whatever order."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import vpn_far_end as far_end
from vpn_container import CARD
from vpn_line import (
    BENEATH,
    FIREWALL,
    NETWORKD,
    WIREGUARD,
    Line,
    make_vpn_root,
    openvpn_line,
    wireguard_line,
)

from gnoppix_build.policy.capture import compile_capture, judge_frames

pytestmark = pytest.mark.root

# What the prober sends, in the judge's words.
PROBES = {
    "IPv4 tcp to 192.0.2.1 port 4242",
    "IPv4 tcp to 198.51.100.1 port 4242",
    "IPv4 udp to 192.0.2.1 port 4242",
    "IPv4 udp to 198.51.100.1 port 4242",
    "IPv4 udp to 255.255.255.255 port 4242",
    "an IPv4 packet of protocol 1 to 192.0.2.1",
    "an IPv4 packet of protocol 1 to 198.51.100.1",
}


@pytest.fixture(scope="module")
def vpn_root() -> Path:
    return make_vpn_root()


@pytest.fixture(scope="module")
def wireguard(vpn_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with wireguard_line(vpn_root, tmp_path_factory.mktemp("wireguard")) as given:
        yield given


@pytest.fixture(scope="module")
def openvpn(vpn_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with openvpn_line("udp", vpn_root, tmp_path_factory.mktemp("openvpn")) as given:
        given.restore()
        yield given


@pytest.fixture(params=["wireguard", "openvpn"])
def line(request: pytest.FixtureRequest) -> Line:
    given: Line = request.getfixturevalue(request.param)
    given.restore()
    return given


def test_vpn_carries_traffic_and_hides_it(line: Line) -> None:
    with line.far.recorded() as frames:
        assert line.is_through()
    assert judge_frames(frames, compile_capture(line.machine.policy), frozenset()) == ()
    assert frames, "the greeting did not come by the cable"
    assert not any(far_end.GREETING.encode() in frame for frame in frames)


def test_openvpn_over_tcp_carries_traffic(vpn_root: Path, tmp_path: Path) -> None:
    with openvpn_line("tcp", vpn_root, tmp_path) as line, line.probed() as strangers:
        line.restore()
    assert strangers == []


def delete_interface(line: Line) -> None:
    line.machine.run("ip", "link", "delete", "dev", line.interface)


def pull_plug(line: Line) -> None:
    line.far.set_link("down")
    time.sleep(0.3)
    line.far.set_link("up")


def kill_tunnel(line: Line) -> None:
    line.machine.tries("systemctl", "kill", "--signal=KILL", line.unit)


def kill_networkd(line: Line) -> None:
    line.machine.run("systemctl", "kill", "--signal=KILL", NETWORKD)


def replace_card(line: Line) -> None:
    line.far.replace_card(line.machine.network, CARD)


def restart_tunnel(line: Line) -> None:
    line.machine.run("systemctl", "restart", line.unit)


def stop(unit: str) -> Callable[[Line], None]:
    def stop_unit(line: Line) -> None:
        line.machine.run("systemctl", "stop", unit or line.unit)

    return stop_unit


EVENTS: Mapping[str, Callable[[Line], None]] = {
    "interface deleted": delete_interface,
    "plug pulled": pull_plug,
    "tunnel killed": kill_tunnel,
    "tunnel stopped": stop(""),
    "tunnel restarted": restart_tunnel,
    "rules beneath stopped": stop(BENEATH),
    "firewall stopped": stop(FIREWALL),
    "network manager stopped": stop(NETWORKD),
    "network manager killed": kill_networkd,
    "card replaced": replace_card,
}


@pytest.mark.parametrize("event", EVENTS)
def test_nothing_leaves_beside_the_tunnel_when(event: str, line: Line) -> None:
    with line.probed() as strangers:
        EVENTS[event](line)
        time.sleep(0.5)
        line.restore()
    assert strangers == []


def test_nothing_leaves_in_any_order_of_stopping(wireguard: Line) -> None:
    wireguard.restore()
    units = (FIREWALL, BENEATH, NETWORKD, WIREGUARD)
    with wireguard.probed() as strangers:
        for order in itertools.permutations(units):
            for unit in order:
                wireguard.machine.run("systemctl", "stop", unit)
            wireguard.machine.run("systemctl", "reset-failed")
            wireguard.machine.start(*units)
    assert strangers == []


def test_card_that_comes_back_to_the_system_is_taken_beneath_again(line: Line) -> None:
    with line.probed() as strangers:
        line.machine.beneath("ip", "link", "set", CARD, "netns", "system")
        line.machine.wait_until(lambda: CARD in line.machine.beneath("ip", "link"), "card beneath")
        line.restore()
    assert strangers == []


def test_every_probe_shows_once_the_kill_switch_is_gone(wireguard: Line) -> None:
    """The card's absence is what holds the probes back, and the judge sees them: the control."""
    machine = wireguard.machine
    wireguard.restore()
    with wireguard.probed() as strangers:
        machine.run("systemctl", "stop", NETWORKD, WIREGUARD, BENEATH)
        machine.beneath("ip", "link", "set", CARD, "netns", "system")
        machine.run("nft", "flush", "ruleset")
        machine.run("ip", "address", "add", "198.51.100.99/24", "dev", CARD)
        machine.run("ip", "link", "set", CARD, "up")
        machine.run("ip", "route", "add", "default", "via", far_end.ROUTER)
        time.sleep(0.5)
    machine.start(FIREWALL, BENEATH, f"gnoppix-carried@{CARD}.service")
    assert PROBES.issubset(strangers)


def test_rules_beneath_hold_back_what_root_sends_there(wireguard: Line) -> None:
    """Where the card is, rules hold the probes back; without them they show."""
    wireguard.restore()
    with wireguard.probed() as strangers:
        wireguard.machine.beneath("nft", "flush", "ruleset")
        time.sleep(0.5)
    wireguard.machine.run("systemctl", "restart", BENEATH)
    wireguard.machine.start(f"gnoppix-carried@{CARD}.service")
    assert PROBES.issubset(strangers)


def test_nothing_is_sent_until_somebody_agrees(vpn_root: Path, tmp_path: Path) -> None:
    with wireguard_line(vpn_root, tmp_path, consent="on") as line:
        machine = line.machine
        with line.far.recorded() as frames, line.probing():
            time.sleep(1)
        assert frames == []
        assert not line.is_through()
        machine.run("allow-network")
        machine.wait_until(line.is_through, "way through the tunnel")


def test_tunnel_waits_for_its_key(vpn_root: Path, tmp_path: Path) -> None:
    key = "etc/credstore/wireguard.private-key"
    with wireguard_line(vpn_root, tmp_path, prepare=lambda machine: machine.move_away(key)) as line:
        machine = line.machine
        assert not machine.tries("test", "-e", "/sys/class/net/wg0")
        assert machine.run("systemctl", "list-units", "--failed", "--no-legend", "gnoppix-*") == ""
        machine.run("install", "-D", "-m", "600", f"/{key}.away", f"/{key}")
        line.restore()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What `firewall` promises of a system."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from gnoppix_build.checks.cards import open_cards
from gnoppix_build.checks.cards import where_the_cards_are as among_cards
from gnoppix_build.checks.doors import (
    admitted_doors,
    in_namespace,
    listening_places,
    namespaces_of,
    places_of,
    reached_doors,
    undeclared,
)
from gnoppix_build.checks.probes import LIVE_USER, ROOT, WITHOUT_RULES, probe_commands, probes_among
from gnoppix_build.checks.programs import command_of
from gnoppix_build.policy.capture import compile_capture, judge_frames

UNIT = "gnoppix-firewall.service"
PROBING = "gnoppix-probing.service"
LONGEST_PROBING_S = 1800
LOOKS = 10
NETWORK_MANAGERS = ("NetworkManager.service", "systemd-networkd.service")
SHOW_UP = "ip -json link show up"
SHOW_TABLE = "nft list table inet gnoppix"
RULESET, CLOSED_RULESET = "/etc/gnoppix/firewall.nft", "/etc/gnoppix/firewall-closed.nft"
NAMED_USER = re.compile(r'skuid (?:!= )?(?:\{ )?"([^"]+)"')
MISSING_USER = "gnoppix-missing"
CHAIN_UNIT = "gnoppix-egress@"
STRANGER = "--reuid=65534 --regid=65534 --clear-groups"


def send_probes(host: Any, policy: Any) -> None:
    """Send every probe where the cards are, as root and as the live user."""
    for command in probe_commands(policy):
        host.run(command)


@contextmanager
def probing(host: Any, policy: Any) -> Iterator[None]:
    """Send probes again and again until the block ends."""
    commands = " & ".join(probe_commands(policy, LONGEST_PROBING_S))
    host.check_output("systemd-run --collect --unit=%s sh -c %s", PROBING, f"{commands} & wait")
    yield
    assert host.service(PROBING).is_running, "nobody sent probes meanwhile"
    host.check_output("systemctl stop %s", PROBING)


def running_managers(host: Any) -> list[str]:
    """Name the network managers that run."""
    return [unit for unit in NETWORK_MANAGERS if host.service(unit).is_running]


def declared_units(policy: Any) -> list[str]:
    """Name the units of the services that components declare."""
    return sorted({service.unit for service in policy.services})


def main_processes(host: Any, policy: Any) -> dict[str, str]:
    """Map the units of declared services that have a process to its number."""
    found = {
        unit: host.run("systemctl show --property=MainPID --value %s", unit).stdout.strip()
        for unit in declared_units(policy)
    }
    return {unit: number for unit, number in found.items() if number not in {"", "0"}}


def survivors(host: Any, policy: Any, before: Mapping[str, str]) -> list[str]:
    """Name the units that still have the process of before; systemd is given time to notice."""
    left: list[str] = []
    for _ in range(LOOKS):
        now = main_processes(host, policy)
        left = [unit for unit, number in before.items() if now.get(unit) == number]
        if not left:
            break
        host.run("sleep 1")
    return left


def tunnels_up(host: Any, policy: Any) -> dict[str, str]:
    """Map the tunnels that are there to their numbers, which no other interface ever has."""
    found = {
        tunnel: host.run("cat /sys/class/net/%s/ifindex", tunnel).stdout.strip()
        for tunnel in policy.tunnels
    }
    return {tunnel: number for tunnel, number in found.items() if number}


def strangers_among(frames: list[bytes], policy: Any) -> list[str]:
    """Describe the frames of the machine that the policy does not name."""
    strangers = judge_frames(frames, compile_capture(policy), frozenset())
    return [stranger.description for stranger in strangers]


def network_cards(host: Any) -> set[str]:
    """Name the interfaces that are hardware."""
    links = host.check_output("find /sys/class/net -type l -printf '%f %l\\n'").splitlines()
    return {name for name, place in map(str.split, links) if "/virtual/" not in place}


def links_up(host: Any) -> set[str]:
    """Name the network cards whose links are up."""
    return {link["ifname"] for link in shown_up(host.check_output(SHOW_UP))} & network_cards(host)


def has_link(host: Any, policy: Any) -> bool:
    """Tell whether there is a link by which anything could leave."""
    links = shown_up(host.check_output(among_cards(policy, SHOW_UP)))
    return any(link["link_type"] == "ether" for link in links)


def shown_up(listing: str) -> list[dict[str, Any]]:
    """Read what `ip` shows; a link that is not up is an empty object there."""
    return [link for link in json.loads(listing) if link]


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
    """Every socket that listens is declared, and every declared one listens.

    Those that wait for somebody's consent are all open, or all closed.
    """
    found = listening_places(host, policy)
    awaiting = places_of(policy.awaiting)
    assert found == places_of(policy.listeners) - (awaiting if not found & awaiting else set())


@pytest.mark.running
@pytest.mark.destructive
def test_sockets_open_with_consent(host: Any, policy: Any) -> None:
    """A stranger opens nothing; with a member's consent every declared socket listens."""
    if not policy.awaiting:
        pytest.skip("the profile does not ask for consent")
    closed = places_of(policy.listeners) - places_of(policy.awaiting)
    consents = [each for each in policy.consents if each.opens == "listeners"]
    for each in consents:
        assert host.run(f"setpriv {STRANGER} {shlex.join(each.command)}").rc != 0
    assert listening_places(host, policy) == closed
    for each in consents:
        member = f"--reuid=65534 --regid=65534 --groups={each.group}"
        host.check_output(f"setpriv {member} {shlex.join(each.command)}")
    assert listening_places(host, policy) == places_of(policy.listeners)


@pytest.mark.running
def test_each_user_reaches_what_the_policy_says(host: Any, policy: Any) -> None:
    """Every user reaches the listeners that are open to it, and no other one, nor another port.

    That holds beneath a tunnel too, and what listens there is out of the others' reach.
    """
    for namespace in namespaces_of(policy):
        expected = admitted_doors(policy, namespace)
        assert reached_doors(host, policy, namespace) == expected, namespace


@pytest.mark.running
def test_probes_stay_off_the_wire(host: Any, wire: Any, policy: Any) -> None:
    """No probe to a foreign address gets out, sent as root or as a user, or as a raw frame."""
    sent = wire.sent_during(lambda: send_probes(host, policy))
    assert probes_among(sent) == set()
    assert strangers_among(sent, policy) == []


@pytest.mark.running
@pytest.mark.destructive
def test_probes_are_on_the_wire_without_rules(host: Any, wire: Any, policy: Any) -> None:
    """The probes do leave when the rules are gone: the checks of them are able to fail."""
    open_cards(host, policy)
    if not has_link(host, policy):
        pytest.skip("no network card is up here")
    kept_back = wire.sent_during(lambda: send_probes(host, policy))
    assert probes_among(kept_back) == set()
    host.check_output(among_cards(policy, "nft flush ruleset"))
    sent = wire.sent_during(lambda: send_probes(host, policy))
    assert probes_among(sent) >= WITHOUT_RULES
    assert strangers_among(sent, policy) != []


@pytest.mark.running
@pytest.mark.destructive
def test_every_user_reaches_every_port_without_rules(host: Any, policy: Any) -> None:
    """It is the rules that refuse: without them all users reach the undeclared ports."""
    for namespace in namespaces_of(policy):
        host.check_output(in_namespace(namespace, "nft flush ruleset"))
        for user, reached in reached_doors(host, policy, namespace).items():
            assert {*undeclared(policy, namespace)} <= reached, f"{user} in {namespace}"


@pytest.mark.running
@pytest.mark.destructive
def test_cards_keep_probes_back_without_the_table(host: Any, wire: Any, policy: Any) -> None:
    """With the `inet` table gone the chain of each card still lets nothing foreign out."""
    open_cards(host, policy)
    host.check_output(among_cards(policy, "nft delete table inet gnoppix"))
    sent = wire.sent_during(lambda: send_probes(host, policy))
    assert probes_among(sent) == set()
    assert strangers_among(sent, policy) == []


@pytest.mark.running
@pytest.mark.destructive
def test_killed_services_open_nothing(host: Any, wire: Any, policy: Any) -> None:
    """While services die and start again, nothing that the policy does not name gets out."""
    if not policy.services:
        pytest.skip("no component has a service")
    alive = main_processes(host, policy)
    if not alive:
        pytest.skip("no service of a component has a process")

    def kill_all() -> None:
        for unit in declared_units(policy):
            host.run(f"systemctl kill --signal=KILL {unit}")
        send_probes(host, policy)

    sent = wire.sent_during(kill_all)
    assert survivors(host, policy, alive) == []
    assert probes_among(sent) == set()
    assert strangers_among(sent, policy) == []


@pytest.mark.running
@pytest.mark.destructive
def test_no_order_of_ends_and_starts_opens_anything(host: Any, wire: Any, policy: Any) -> None:
    """Whichever of firewall, network and services ends, starts or dies first: no probe gets out.

    Each comes first once; a container of the tests goes through every order, verbs mixed.
    """
    managers = running_managers(host)
    # One that runs to its end now and then, and may wait for Tor at each start, is not waited for.
    services = [
        unit
        for unit in declared_units(policy)
        if unit not in managers and host.run("systemctl is-active %s", unit).stdout == "active\n"
    ]
    groups = (UNIT, " ".join(managers), " ".join(services))
    parts = [group for group in groups if group]

    def let_each_be_first() -> None:
        for turn in range(len(parts)):
            order = (*parts[turn:], *parts[:turn])
            for verb in ("stop", "start", "kill --signal=KILL"):
                host.run("; ".join(f"systemctl {verb} {units}" for units in order))
            # What failed too often would stay down and be silent for no merit of the rules.
            host.run(f"systemctl reset-failed; systemctl start {' '.join(parts)}")

    with probing(host, policy):
        sent = wire.sent_during(let_each_be_first)
    assert probes_among(sent) == set()
    assert strangers_among(sent, policy) == []


@pytest.mark.running
@pytest.mark.destructive
def test_lost_tunnel_opens_nothing(host: Any, wire: Any, policy: Any) -> None:
    """Without its tunnel the machine sends nothing that the policy does not name."""
    if not policy.tunnels:
        pytest.skip("the profile has no tunnel")
    up = tunnels_up(host, policy)
    if not up:
        pytest.skip("no tunnel has come up that could be lost")

    def lose_tunnels() -> None:
        for tunnel in up:
            host.run(f"ip link delete {tunnel}")
        for uid in (ROOT, LIVE_USER):
            host.run(command_of("send_probes", str(uid)))
        send_probes(host, policy)

    sent = wire.sent_during(lose_tunnels)
    still_there = up.items() & tunnels_up(host, policy).items()
    assert still_there == set()
    assert probes_among(sent) == set()
    assert strangers_among(sent, policy) == []


@pytest.mark.running
@pytest.mark.destructive
def test_stopping_the_firewall_closes_the_network(host: Any, wire: Any, policy: Any) -> None:
    """Without its firewall the machine sends nothing at all.

    What is beneath a tunnel has rules of its own, under which a card may ask for its neighbours.
    """
    host.check_output(f"systemctl stop {UNIT}")
    assert links_up(host) == set()
    sent = wire.sent_during(lambda: send_probes(host, policy))
    assert probes_among(sent) == set()
    assert strangers_among(sent, policy) == []
    if policy.card_namespace == "system":
        assert sent == []


@pytest.mark.running
@pytest.mark.destructive
def test_ruleset_that_names_a_missing_user_closes_the_network(
    host: Any, wire: Any, policy: Any
) -> None:
    """A ruleset that does not load, for one of its users is gone, leaves nothing open."""
    named = NAMED_USER.search(host.file(RULESET).content_string)
    if named is None:
        pytest.skip("the ruleset of the programs names no user")
    host.check_output(f"""sed --in-place 's/"{named[1]}"/"{MISSING_USER}"/g' {RULESET}""")
    assert host.run(f"systemctl restart {UNIT}").rc != 0
    loaded = host.check_output(SHOW_TABLE)
    assert links_up(host) == set()
    sent = wire.sent_during(lambda: send_probes(host, policy))
    assert probes_among(sent) == set()
    assert strangers_among(sent, policy) == []
    host.check_output(f"nft -f {CLOSED_RULESET}")
    assert host.check_output(SHOW_TABLE) == loaded, "the table was not the closed one"


@pytest.mark.running
@pytest.mark.destructive
def test_card_without_its_chain_goes_down(host: Any, wire: Any, policy: Any) -> None:
    """Stopping the unit of a card's egress chain takes the link down, and starting it up again."""
    if policy.card_namespace != "system":
        pytest.skip("the cards are beneath a tunnel")
    open_cards(host, policy)
    cards = links_up(host)
    if not cards:
        pytest.skip("no network card is up here")
    units = " ".join(f"{CHAIN_UNIT}{card}.service" for card in sorted(cards))
    host.check_output(f"systemctl stop {units}")
    assert links_up(host) == set()
    assert wire.sent_during(lambda: send_probes(host, policy)) == []
    host.check_output(f"systemctl start {units}")
    # The card is handed over by a unit that the chain's only asks for.
    for _ in range(30):
        if links_up(host) == cards:
            break
        host.run("sleep 1")
    assert links_up(host) == cards


@pytest.mark.running
@pytest.mark.destructive
def test_chain_that_does_not_load_leaves_the_card_down(host: Any) -> None:
    """A ruleset that nft refuses keeps the link down."""
    host.check_output("echo 'names nobody' >>/etc/gnoppix/egress.nft")
    for card in network_cards(host):
        assert host.run(f"systemctl restart {CHAIN_UNIT}{card}.service").rc != 0
    assert links_up(host) == set()

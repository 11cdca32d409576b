# SPDX-License-Identifier: GPL-3.0-or-later
"""What `firewall` promises of a system."""

import itertools
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gnoppix_build.checks.probes import LIVE_USER, ROOT, WITHOUT_RULES, probe_commands, probes_among
from gnoppix_build.checks.probes import where_the_cards_are as among_cards
from gnoppix_build.checks.programs import command_of
from gnoppix_build.policy.capture import compile_capture, judge_frames

UNIT = "gnoppix-firewall.service"
PROBING = "gnoppix-probing.service"
LONGEST_PROBING_S = 1800
NETWORK_MANAGERS = ("NetworkManager.service", "systemd-networkd.service")
SHOW_UP = "ip -json link show up"
CHAIN_UNIT = "gnoppix-egress@"
# Where the kernel takes the port of a socket that names none (ip_local_port_range).
CHOSEN_PORTS = range(32768, 61000)
# Where services listen that a machine may have besides its own; 53 is led to a resolver.
FOREIGN_PORTS = (22, 25, 80, 111, 143, 443, 631, 993, 1080, 3128, 3306, 4444, 5432, 6379)
FOREIGN_PORTS += (8000, 8080, 8888, 9051, 9151, 11434, 27017)
COUNT_OF_FOREIGN_PORTS = 20
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


def strangers_among(frames: list[bytes], policy: Any) -> list[str]:
    """Describe the frames of the machine that the policy does not name."""
    strangers = judge_frames(frames, compile_capture(policy), frozenset())
    return [stranger.description for stranger in strangers]


def undeclared(policy: Any) -> list[tuple[str, str, int]]:
    """Choose ports at which no component listens: 20 for each protocol."""
    taken = {listener.port for listener in policy.listeners}
    ports = [port for port in FOREIGN_PORTS if port not in taken][:COUNT_OF_FOREIGN_PORTS]
    return [(protocol, "127.0.0.1", port) for protocol in ("tcp", "udp") for port in ports]


def reached_by_users(host: Any, policy: Any) -> dict[str, set[tuple[str, str, int]]]:
    """Let every user knock at every declared listener and at the undeclared ports."""
    users = {"root": 0, **{user.name: user.uid for user in policy.users}}
    declared = {
        (each.protocol, each.address, each.port)
        for each in policy.matrix
        if each.namespace == "system"
    } | {("unix", each.path, 0) for each in policy.sockets}
    asked = {
        "users": users,
        "doors": undeclared(policy),
        "declared": sorted(declared),
        "closed": [
            (each.protocol, each.address, each.port, users[each.user])
            for each in policy.awaiting
            if each.namespace == "system"
        ],
    }
    answer = json.loads(host.check_output(command_of("try_matrix", json.dumps(asked))))
    return {user: {(kind, at, port) for kind, at, port in got} for user, got in answer.items()}


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


def listening_sockets(host: Any, policy: Any) -> set[tuple[str, str, int]]:
    """Read which sockets listen: protocol, address, port.

    Those by which a user talks to itself are left out: the kernel chose their ports. So is a DHCP
    client's, which waits for answers.
    """
    # A DHCP client's socket waits for answers; it is of the policy's links.
    answers = {("udp", 68)} if any(each.link == "dhcp4" for each in policy.links) else set()
    inner = {flow.user for flow in policy.inner}
    uids = {user.uid for user in policy.users if user.name in inner}
    found = set()
    for line in host.check_output("ss -H -l -n -t -u -e").splitlines():
        protocol, _, _, _, local, *_ = line.split()
        address, _, port = local.rpartition(":")
        owner = re.search(r"\buid:(\d+)", line)
        is_inner = owner is not None and int(owner[1]) in uids
        is_inner = is_inner and address == "127.0.0.1" and int(port) in CHOSEN_PORTS
        if not is_inner and (protocol, int(port)) not in answers:
            found.add((protocol, re.sub(r"%.*|[\[\]]", "", address), int(port)))
    return found


def places_of(listeners: Iterable[Any]) -> set[tuple[str, str, int]]:
    """Give where listeners are: protocol, address, port."""
    return {(each.protocol, each.address, each.port) for each in listeners}


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
    found = listening_sockets(host, policy)
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
    assert listening_sockets(host, policy) == closed
    for each in consents:
        member = f"--reuid=65534 --regid=65534 --groups={each.group}"
        host.check_output(f"setpriv {member} {shlex.join(each.command)}")
    assert listening_sockets(host, policy) == places_of(policy.listeners)


@pytest.mark.running
def test_each_user_reaches_what_the_policy_says(host: Any, policy: Any) -> None:
    """Every user reaches the listeners that are open to it, and no other one, nor another port."""
    expected: dict[str, set[tuple[str, str, int]]] = {}
    for cell in policy.matrix:
        if cell.namespace == "system":
            reached = {(cell.protocol, cell.address, cell.port)} if cell.is_admitted else set()
            expected.setdefault(cell.user, set()).update(reached)
    for each in policy.socket_matrix:
        if each.is_admitted:
            expected[each.user].add(("unix", each.path, 0))
    assert reached_by_users(host, policy) == expected


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
    if not has_link(host, policy):
        pytest.skip("no network card is up here")
    host.check_output(among_cards(policy, "nft flush ruleset"))
    sent = wire.sent_during(lambda: send_probes(host, policy))
    assert probes_among(sent) >= WITHOUT_RULES
    assert strangers_among(sent, policy) != []


@pytest.mark.running
@pytest.mark.destructive
def test_every_user_reaches_every_port_without_rules(host: Any, policy: Any) -> None:
    """It is the rules that refuse: without them all users reach the undeclared ports."""
    host.check_output("nft flush ruleset")
    for user, reached in reached_by_users(host, policy).items():
        assert set(undeclared(policy)) <= reached, user


@pytest.mark.running
@pytest.mark.destructive
def test_cards_keep_probes_back_without_the_table(host: Any, wire: Any, policy: Any) -> None:
    """With the `inet` table gone the chain of each card still lets nothing foreign out."""
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

    def kill_all() -> None:
        for unit in declared_units(policy):
            host.run(f"systemctl kill --signal=KILL {unit}")
        send_probes(host, policy)

    sent = wire.sent_during(kill_all)
    assert probes_among(sent) == set()
    assert strangers_among(sent, policy) == []


@pytest.mark.running
@pytest.mark.destructive
def test_no_order_of_ends_and_starts_opens_anything(host: Any, wire: Any, policy: Any) -> None:
    """Whichever of firewall, network and services ends, starts or dies first: no probe gets out."""
    managers = running_managers(host)
    # One that runs to its end now and then, and may wait for Tor at each start, is not waited for.
    services = [
        unit
        for unit in declared_units(policy)
        if unit not in managers and host.run("systemctl is-active %s", unit).stdout == "active\n"
    ]
    groups = (UNIT, " ".join(managers), " ".join(services))
    parts = [group for group in groups if group]

    def go_through_all_orders() -> None:
        for order in itertools.permutations(parts):
            for verb in ("stop", "start", "kill --signal=KILL"):
                host.run("; ".join(f"systemctl {verb} {units}" for units in order))
            # What failed too often would stay down and be silent for no merit of the rules.
            host.run(f"systemctl reset-failed; systemctl start {' '.join(parts)}")

    with probing(host, policy):
        sent = wire.sent_during(go_through_all_orders)
    assert probes_among(sent) == set()
    assert strangers_among(sent, policy) == []


@pytest.mark.running
@pytest.mark.destructive
def test_lost_tunnel_opens_nothing(host: Any, wire: Any, policy: Any) -> None:
    """Without its tunnel the machine sends nothing that the policy does not name."""
    if not policy.tunnels:
        pytest.skip("the profile has no tunnel")

    def lose_tunnels() -> None:
        for tunnel in policy.tunnels:
            host.run(f"ip link delete {tunnel}")
        for uid in (ROOT, LIVE_USER):
            host.run(command_of("send_probes", str(uid)))
        send_probes(host, policy)

    sent = wire.sent_during(lose_tunnels)
    assert probes_among(sent) == set()
    assert strangers_among(sent, policy) == []


@pytest.mark.running
@pytest.mark.destructive
def test_stopping_the_firewall_closes_the_network(host: Any, wire: Any, policy: Any) -> None:
    """Without its firewall the machine sends nothing at all."""
    host.check_output(f"systemctl stop {UNIT}")
    assert links_up(host) == set()
    assert wire.sent_during(lambda: send_probes(host, policy)) == []


@pytest.mark.running
@pytest.mark.destructive
def test_card_without_its_chain_goes_down(host: Any, wire: Any, policy: Any) -> None:
    """Stopping the unit of a card's egress chain takes the link down, and starting it up again."""
    if policy.card_namespace != "system":
        pytest.skip("the cards are beneath a tunnel")
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

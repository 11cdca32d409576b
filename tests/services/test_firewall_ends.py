# SPDX-License-Identifier: GPL-3.0-or-later
"""The destructive checks of `firewall` hold in a container with a card, and fail where broken.

The card is one end of a cable; what arrives at the other end is what the checks look at.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from bench import wants_all_profiles
from card_container import (
    UNITS,
    CardContainer,
    CardShell,
    CardWire,
    make_card_root,
    wait_until,
)
from check_module import load_checks

from gnoppix_build.checks.probes import WITHOUT_RULES
from gnoppix_build.targets.vm import GuestHost

pytestmark = pytest.mark.root

UNIT = "/etc/systemd/system/gnoppix-firewall.service"
# The kernel of a test machine may have no AppArmor.
WITH_TOR = {
    "beside": "  tor: {mode: socks}\n",
    "units": ["tor.service"],
    "files": {
        "etc/systemd/system/tor@default.service.d/70-lab.conf": "[Service]\nAppArmorProfile=\n"
    },
}
FIREWALL, TOR = "gnoppix-firewall.service", "tor@default.service"
VERBS = ("stop", "start", "kill --signal=KILL")
Steps = tuple[tuple[str, str], ...]
"""What is done one after another: a verb of systemctl(1), and the unit."""
CHAIN_UNIT = "/etc/systemd/system/gnoppix-egress@.service"


@pytest.fixture
def checks(request: pytest.FixtureRequest) -> ModuleType:
    """Give the component's checks."""
    return load_checks("firewall", request.config)


@pytest.fixture
def lab(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[CardContainer]:
    """Give the container; a test that is parametrized with it has further components."""
    options = {"manager": "networkd", **getattr(request, "param", {})}
    with CardContainer(tmp_path, make_card_root(), **options) as container:
        container.plug_card()
        wait_until(container.has_address, "an address")
        yield container


@pytest.fixture
def arguments(lab: CardContainer, monkeypatch: pytest.MonkeyPatch, checks: Any) -> Any:
    """Give what checks of the container ask for; its card is a virtual one."""
    monkeypatch.setattr(checks, "network_cards", lambda _: {"eth0"})
    return GuestHost(CardShell(lab)), CardWire(lab), lab.policy


def test_ruleset_with_a_missing_user_closes_the_network(checks: Any, arguments: Any) -> None:
    checks.test_ruleset_that_names_a_missing_user_closes_the_network(*arguments)


@pytest.mark.parametrize(
    "guards",
    [
        pytest.param({UNIT: "/^ExecStopPost=/d"}, id="no-closed-table"),
        pytest.param({CHAIN_UNIT: "/^PartOf=/d;/^Requisite=/d"}, id="cards-stay"),
        pytest.param({UNIT: "s/^ExecStart=/ExecStart=-/"}, id="failure-is-ignored"),
    ],
)
def test_check_of_a_missing_user_fails_without_the_guard(
    lab: CardContainer, checks: Any, arguments: Any, guards: dict[str, str]
) -> None:
    for path, change in guards.items():
        lab.run("sed", "--in-place", change, path)
    lab.run("systemctl", "daemon-reload")
    with pytest.raises(AssertionError):
        checks.test_ruleset_that_names_a_missing_user_closes_the_network(*arguments)


@pytest.mark.parametrize("lab", [WITH_TOR], indirect=True)
def test_killed_services_open_nothing(lab: CardContainer, checks: Any, arguments: Any) -> None:
    wait_until(lambda: lab.is_active(TOR), "tor")
    checks.test_killed_services_open_nothing(*arguments)


def all_orders(parts: Sequence[str]) -> Iterator[Steps]:
    """Give every way in which the parts are ended, started and killed one after another."""
    for order in itertools.permutations(parts):
        for verbs in itertools.product(VERBS, repeat=len(parts)):
            yield tuple(zip(verbs, order, strict=True))


def mixed_orders(parts: Sequence[str]) -> Iterator[Steps]:
    """Give a third of the ways, for a run that is to be short.

    In each order of the parts every two of them get every two verbs, and over all orders every
    three verbs come up.
    """
    count = len(VERBS)
    for number, order in enumerate(itertools.permutations(parts)):
        for one, two in itertools.product(range(count), repeat=2):
            verbs = (VERBS[one], VERBS[two], VERBS[(one + two + number) % count])
            yield tuple(zip(verbs, order, strict=True))


def test_mixed_orders_are_enough() -> None:
    mixed, whole = {*mixed_orders("abc")}, {*all_orders("abc")}
    assert (len(mixed), len(whole)) == (54, 162)
    assert mixed < whole
    assert {tuple(verb for verb, _ in steps) for steps in mixed} == {
        tuple(verb for verb, _ in steps) for steps in whole
    }


def batches(manager: str) -> Iterator[tuple[Steps, ...]]:
    """Give what a run goes through, for each order of the parts: all ways in a run of all."""
    parts = (FIREWALL, UNITS[manager], TOR)
    orders = all_orders(parts) if wants_all_profiles() else mixed_orders(parts)
    for _, batch in itertools.groupby(orders, lambda steps: [step[1] for step in steps]):
        yield tuple(batch)


@pytest.mark.parametrize(
    ("lab", "manager"),
    [
        pytest.param(WITH_TOR, "networkd", id="networkd"),
        pytest.param(
            {**WITH_TOR, "manager": "network-manager"},
            "network-manager",
            id="network-manager",
            marks=pytest.mark.skipif(
                not wants_all_profiles(), reason="takes many minutes: ./run test-all"
            ),
        ),
    ],
    indirect=["lab"],
)
def test_no_mix_of_ends_and_starts_opens_anything(
    lab: CardContainer, checks: Any, arguments: Any, manager: str
) -> None:
    """One part starts while another is stopped or killed: no probe of the whole time gets out."""
    host, wire, policy = arguments
    parts = (FIREWALL, UNITS[manager], TOR)
    wait_until(lambda: lab.is_active(TOR), "tor")

    def go_through(batch: Sequence[Steps]) -> None:
        for steps in batch:
            said = "; ".join(f"systemctl {verb} {part}" for verb, part in steps)
            # What failed too often would stay down and be silent for no merit of the rules.
            lab.run_shell(f"{said}; systemctl reset-failed; systemctl start {' '.join(parts)}")

    sent: list[bytes] = []
    for batch in batches(manager):
        # Whoever sends probes does so for a limited time.
        with checks.probing(host, policy):
            sent += wire.sent_during(functools.partial(go_through, batch))
    assert sent, "the card was silent all the time"
    assert checks.probes_among(sent) == set()
    assert checks.strangers_among(sent, policy) == []
    # The card may have been left down for good; another one comes up.
    lab.plug_card()
    wait_until(lambda: lab.is_up() and lab.has_address(), "the address of another card", 60.0)
    # The control: it is the rules that keep the probes back.
    lab.run("nft", "flush", "ruleset")
    freed = wire.sent_during(lambda: checks.send_probes(host, policy))
    assert checks.probes_among(freed) >= WITHOUT_RULES

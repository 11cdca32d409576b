# SPDX-License-Identifier: GPL-3.0-or-later
"""The destructive checks of `firewall` hold in a container with a card, and fail where broken.

The card is one end of a cable; what arrives at the other end is what the checks look at.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from card_container import CardContainer, CardShell, CardWire, make_card_root, wait_until
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
PARTS = ("gnoppix-firewall.service", "systemd-networkd.service", "tor@default.service")
VERBS = ("stop", "start", "kill --signal=KILL")
CHAIN_UNIT = "/etc/systemd/system/gnoppix-egress@.service"


@pytest.fixture
def checks(request: pytest.FixtureRequest) -> ModuleType:
    """Give the component's checks."""
    return load_checks("firewall", request.config)


@pytest.fixture
def lab(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[CardContainer]:
    """Give the container; a test that is parametrized with it has further components."""
    further = getattr(request, "param", {})
    with CardContainer(tmp_path, make_card_root(), manager="networkd", **further) as container:
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
    wait_until(lambda: lab.is_active(PARTS[2]), "tor")
    checks.test_killed_services_open_nothing(*arguments)


def mixed_orders() -> Iterator[str]:
    """Give what is done to the parts one after another, each in its way, as shell commands.

    Of the 162 ways there are 54: in each order of the parts every two of them get every two verbs,
    and over all orders every three verbs come up.
    """
    count = len(VERBS)
    for number, order in enumerate(itertools.permutations(PARTS)):
        for one, two in itertools.product(range(count), repeat=2):
            verbs = (VERBS[one], VERBS[two], VERBS[(one + two + number) % count])
            yield "; ".join(
                f"systemctl {verb} {part}" for verb, part in zip(verbs, order, strict=True)
            )


def test_mixed_orders_are_enough() -> None:
    told = {tuple(line.split("; ")) for line in mixed_orders()}
    verbs = {tuple(step.split()[1] for step in steps) for steps in told}
    assert len(told) == 54
    assert len(verbs) == len(VERBS) ** len(PARTS)


@pytest.mark.parametrize("lab", [WITH_TOR], indirect=True)
def test_no_mix_of_ends_and_starts_opens_anything(
    lab: CardContainer, checks: Any, arguments: Any
) -> None:
    """One part starts while another is stopped or killed: no probe of the whole time gets out."""
    host, wire, policy = arguments
    wait_until(lambda: lab.is_active(PARTS[2]), "tor")

    def go_through() -> None:
        for steps in mixed_orders():
            # What failed too often would stay down and be silent for no merit of the rules.
            lab.run_shell(f"{steps}; systemctl reset-failed; systemctl start {' '.join(PARTS)}")

    with checks.probing(host, policy):
        sent = wire.sent_during(go_through)
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

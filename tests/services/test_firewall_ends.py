# SPDX-License-Identifier: GPL-3.0-or-later
"""The destructive checks of `firewall` hold in a container with a card, and fail where broken.

The card is one end of a cable; what arrives at the other end is what the checks look at.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from card_container import CardContainer, CardShell, CardWire, make_card_root, wait_until

from gnoppix_build.catalog.load import COMPONENTS_FOLDER
from gnoppix_build.targets.vm import GuestHost

pytestmark = pytest.mark.root

FILE = COMPONENTS_FOLDER / "firewall" / "check_firewall.py"
UNIT = "/etc/systemd/system/gnoppix-firewall.service"
CHAIN_UNIT = "/etc/systemd/system/gnoppix-egress@.service"


@pytest.fixture
def checks(request: pytest.FixtureRequest) -> ModuleType:
    """Give the component's check file as a module; the run of checks knows its marks."""
    for mark in ("static", "running", "destructive"):
        request.config.addinivalue_line("markers", f"{mark}: of a check")
    spec = importlib.util.spec_from_file_location("firewall", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[CardContainer]:
    with CardContainer(tmp_path, make_card_root(), manager="networkd") as container:
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

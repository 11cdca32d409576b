# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of lost parts see that the part was there and went: without that they fail or skip."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from check_module import load_checks

from gnoppix_build.policy.model import Policy, PolicyService

CHECKS = ("test_killed_services_open_nothing", "test_lost_tunnel_opens_nothing")
UNIT, ONCE = "there.service", "once.service"
POLICY = Policy(
    profile="top",
    services=tuple(
        PolicyService("part", unit, "user", False, (), (), (), (), {}, 10, "")
        for unit in (UNIT, ONCE)
    ),
    tunnels=("tun7",),
)


@dataclass
class Said:
    stdout: str
    rc: int = 0


@dataclass
class Host:
    """A system with a service, one that has run once, and a tunnel; or with parts that stay."""

    processes: dict[str, int] = field(default_factory=lambda: {UNIT: 7, ONCE: 0})
    interfaces: dict[str, int] = field(default_factory=lambda: {"tun7": 3})
    lasting: frozenset[str] = frozenset()

    def run(self, command: str, *arguments: str) -> Said:
        words = (command % arguments if arguments else command).split()
        match words[:2]:
            case ["systemctl", "show"]:
                return Said(f"{self.processes.get(words[-1], 0)}\n")
            case ["systemctl", "kill"]:
                if words[-1] not in self.lasting and self.processes[words[-1]]:
                    self.processes[words[-1]] += 1
            case ["ip", "link"]:
                if words[-1] not in self.lasting:
                    del self.interfaces[words[-1]]
            case ["cat", path]:
                number = self.interfaces.get(path.split("/")[4])
                return Said(f"{number}\n") if number else Said("", 1)
        return Said("")


class Wire:
    def sent_during(self, block: Callable[[], None]) -> list[bytes]:
        block()
        return []


@pytest.fixture
def checks(request: pytest.FixtureRequest) -> ModuleType:
    return load_checks("firewall", request.config)


@pytest.mark.parametrize("check", CHECKS)
def test_check_passes_when_the_part_went(checks: Any, check: str) -> None:
    getattr(checks, check)(Host(), Wire(), POLICY)


@pytest.mark.parametrize("check", CHECKS)
def test_check_fails_when_the_part_is_still_there(checks: Any, check: str) -> None:
    with pytest.raises(AssertionError):
        getattr(checks, check)(Host(lasting=frozenset((UNIT, "tun7"))), Wire(), POLICY)


@pytest.mark.parametrize("check", CHECKS)
def test_check_skips_when_there_is_no_part(checks: Any, check: str) -> None:
    with pytest.raises(pytest.skip.Exception):
        getattr(checks, check)(Host(processes={}, interfaces={}), Wire(), POLICY)

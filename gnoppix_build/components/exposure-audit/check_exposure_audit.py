# SPDX-License-Identifier: GPL-3.0-or-later
"""What `exposure-audit` asks of a system."""

import re
from typing import Any

import pytest

OVERALL = re.compile(r"Overall exposure level for (\S+): (\d+)\.(\d)")


def loadable(unit: str) -> str:
    """Give the unit, or one of a template's units: a template itself cannot be judged."""
    return unit.replace("@.", "@audit.")


def read_exposures(host: Any, units: list[str]) -> dict[str, int]:
    """Read how exposed units are: unit -> tenths."""
    names = {loadable(unit): unit for unit in units}
    said = host.check_output(" ".join(("systemd-analyze security --no-pager", *names)))
    return {
        names[name]: int(whole) * 10 + int(tenth) for name, whole, tenth in OVERALL.findall(said)
    }


@pytest.mark.running
def test_services_are_no_more_exposed_than_declared(host: Any, policy: Any) -> None:
    """systemd-analyze says of no service more than its component does."""
    declared = {service.unit: service.exposure for service in policy.services}
    found = read_exposures(host, sorted(declared)) if declared else {}
    assert found.keys() == declared.keys(), f"not judged: {declared.keys() - found.keys()}"
    worse = {unit: tenths for unit, tenths in found.items() if tenths > declared[unit]}
    assert worse == {}, f"in tenths; declared: {declared}"

# SPDX-License-Identifier: GPL-3.0-or-later
"""What `exposure-audit` asks of a system."""

import re
from typing import Any

import pytest

OVERALL = re.compile(r"Overall exposure level for (\S+): (\d+)\.(\d)")


def read_exposures(host: Any, units: list[str]) -> dict[str, int]:
    """Read how exposed units are: unit -> tenths."""
    said = host.check_output(" ".join(("systemd-analyze security --no-pager", *units)))
    return {unit: int(whole) * 10 + int(tenth) for unit, whole, tenth in OVERALL.findall(said)}


@pytest.mark.running
def test_services_are_no_more_exposed_than_declared(host: Any, policy: Any) -> None:
    """systemd-analyze says of no service more than its component does."""
    declared = {service.unit: service.exposure for service in policy.services}
    if not declared:
        pytest.skip("no component of the profile declares a service")
    found = read_exposures(host, sorted(declared))
    assert found.keys() == declared.keys(), f"not judged: {declared.keys() - found.keys()}"
    worse = {unit: tenths for unit, tenths in found.items() if tenths > declared[unit]}
    assert worse == {}, f"in tenths; declared: {declared}"

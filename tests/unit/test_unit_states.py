# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine mends of its units and what `verify --host` calls drift are the same."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from role_modules import load_role_module

from gnoppix_build.app.drift import _lack_now
from gnoppix_build.render.described import MachineUnit

TARGETS = frozenset(("multi-user.target",))
NAMES = st.sampled_from(("", "multi-user.target", "sleep.target"))
TIMES = st.sampled_from(("0", "17"))
# A unit that has failed is drift whoever wants it, and is mended where a target does.
ACTIVE = st.sampled_from(("active", "activating", "deactivating", "inactive", "reloading"))
STATES = st.fixed_dictionaries(
    {
        "ActiveState": ACTIVE,
        "BusName": st.sampled_from(("", "org.example.One")),
        "ConditionResult": st.sampled_from(("yes", "no")),
        "ConditionTimestampMonotonic": TIMES,
        "ExecMainStartTimestampMonotonic": TIMES,
        "RemainAfterExit": st.sampled_from(("yes", "no")),
        "RequiredBy": NAMES,
        "TriggeredBy": st.sampled_from(("", "one.timer")),
        "Type": st.sampled_from(("oneshot", "simple")),
        "WantedBy": NAMES,
    }
)


@pytest.fixture(scope="module")
def units() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        yield load_role_module("gnoppix_units", patch)


@given(state=STATES)
def test_idle_unit_is_drift_and_is_started(units: Any, state: Mapping[str, str]) -> None:
    unit = MachineUnit("one.service", "enable", "one", "ordinary")
    assert units.is_idle(state, TARGETS) == bool(_lack_now(unit, state, TARGETS))


@pytest.mark.parametrize(("wanted", "enabled"), [("mask", "masked"), ("disable", "disabled")])
@given(state=STATES)
def test_unit_that_is_off_and_runs_is_drift_and_is_stopped(
    units: Any, wanted: Literal["mask", "disable"], enabled: str, state: Mapping[str, str]
) -> None:
    unit = MachineUnit("one.service", wanted, "one", "ordinary")
    runs = units.is_running_though_off({**state, "enabled": enabled})
    assert runs == bool(_lack_now(unit, state, TARGETS))

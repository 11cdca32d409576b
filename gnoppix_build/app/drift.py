# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between a machine and its profile, file by file and unit by unit."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gnoppix_build.checks.programs import command_of
from gnoppix_build.plan.steps import PLACED_MODE
from gnoppix_build.render.described import MachineUnit
from gnoppix_build.render.tree import ImageFile
from gnoppix_build.report.finding import Finding

ENABLED = frozenset(
    ("alias", "enabled", "enabled-runtime", "generated", "indirect", "linked", "static")
)
MASKED = frozenset(("masked", "masked-runtime"))
RUNNING = frozenset(("active", "activating", "refreshing", "reloading"))
STARTERS = ("BusName", "RequiredBy", "TriggeredBy", "WantedBy")
"""The properties that name what may have started a unit that is not enabled."""


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """A file of a machine, known by its digest."""

    path: str
    mode: int
    owner: str
    group: str
    sha256: str
    origin: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What a profile wants on a machine."""

    files: Sequence[ExpectedFile]
    units: Sequence[MachineUnit]

    def question(self) -> str:
        """Give the shell command that says how all of it is on a machine, as JSON."""
        asked = {
            "files": [file.path for file in self.files],
            "units": [unit.unit for unit in self.units],
        }
        return command_of("read_machine", json.dumps(asked))


def expect_files(
    configuration: Iterable[ImageFile], payloads: Mapping[str, str], digests: Mapping[str, str]
) -> tuple[ExpectedFile, ...]:
    """Expect configuration, and payloads: `payloads` maps a path to its component."""
    return (
        *(
            ExpectedFile(
                file.path,
                file.mode,
                file.owner,
                file.group,
                hashlib.sha256(file.content).hexdigest(),
                file.origin,
            )
            for file in configuration
        ),
        *(
            ExpectedFile(path, PLACED_MODE, "root", "root", digests[path], component)
            for path, component in payloads.items()
        ),
    )


def judge_drift(expected: Expected, seen: Mapping[str, Any]) -> list[Finding]:
    """Tell each file and unit that is not as its component wants it, and what is left over.

    `seen` is the answer to the question. A component of which nothing differs passes.
    """
    differing = [*_files(expected, seen), *_units(expected, seen), *_left_over(expected, seen)]
    guilty = {finding.component for finding in differing}
    counted = Counter(file.origin for file in expected.files)
    counted.update(unit.component for unit in expected.units)
    kept = [
        Finding("no_drift", name, "running", "pass", f"{count} files and units as wanted", 0.0)
        for name, count in sorted(counted.items())
        if name not in guilty
    ]
    return [*kept, *differing]


def _files(expected: Expected, seen: Mapping[str, Any]) -> Iterator[Finding]:
    for file in expected.files:
        found = seen["files"][file.path]
        if found is None:
            yield _drift(file.path, file.origin, "it is not there")
            continue
        wanted = {
            "mode": f"{file.mode:04o}",
            "owner": file.owner,
            "group": file.group,
            "sha256": file.sha256,
        }
        lacks = [
            "other bytes" if key == "sha256" else f"{key} `{found[key]}`, not `{value}`"
            for key, value in wanted.items()
            if found[key] != value
        ]
        if lacks:
            yield _drift(file.path, file.origin, "; ".join(lacks))


def _units(expected: Expected, seen: Mapping[str, Any]) -> Iterator[Finding]:
    targets = frozenset(seen["targets"])
    for unit in expected.units:
        state = seen["units"][unit.unit]
        if lack := _lack_of(unit, state["enabled"]) or _lack_now(unit, state, targets):
            yield _drift(unit.unit, unit.component, lack)


def _lack_of(unit: MachineUnit, enabled: str) -> str:
    match unit.wanted:
        case "enable":
            return "" if enabled in ENABLED else f"it is `{enabled}`, not enabled"
        case "mask":
            return "" if enabled in MASKED else f"it is `{enabled}`, not masked"
        case "disable":
            return f"it is `{enabled}`" if enabled in {"enabled", "enabled-runtime"} else ""


def _lack_now(unit: MachineUnit, state: Mapping[str, str], targets: frozenset[str]) -> str:
    """Tell what a unit does now that it should not, where that can be told."""
    active = state.get("ActiveState", "inactive")
    if unit.wanted != "enable":
        is_off = active not in RUNNING or (
            unit.wanted == "disable" and any(state.get(key) for key in STARTERS)
        )
        return "" if is_off else f"it is off, and still `{active}`"
    if active == "failed":
        return "it has failed"
    return f"it is enabled, but `{active}`" if _is_idle(state, active, targets) else ""


def _is_idle(state: Mapping[str, str], active: str, targets: frozenset[str]) -> bool:
    """Tell whether a target that is reached wants a unit, which does not run nor has its reason."""
    wanting = {*state.get("WantedBy", "").split(), *state.get("RequiredBy", "").split()}
    was_judged = state.get("ConditionTimestampMonotonic", "0") != "0"
    is_done = (
        state.get("Type") == "oneshot"
        and state.get("RemainAfterExit") == "no"
        and state.get("ExecMainStartTimestampMonotonic", "0") != "0"
    )
    has_reason = is_done or (was_judged and state["ConditionResult"] == "no")
    is_wanted = bool(wanting & targets) and not state.get("TriggeredBy")
    return active not in RUNNING and is_wanted and not has_reason


def _left_over(expected: Expected, seen: Mapping[str, Any]) -> Iterator[Finding]:
    record = seen["record"]
    if record is None:
        return
    wanted = {file.path for file in expected.files} | {unit.unit for unit in expected.units}
    for kind in ("files", "units"):
        for name, component in sorted(record[kind].items()):
            if name not in wanted:
                yield _drift(name, component, "the profile has it no more; provision takes it away")
    for path in record["unsettled"]:
        component = record["files"].get(path, "")
        yield _drift(path, component, "the last run was interrupted; provision again")


def _drift(name: str, component: str, lack: str) -> Finding:
    return Finding(f"no_drift[{name}]", component, "running", "fail", lack, 0.0)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift: what differs from the profile is told with its component, and nothing else."""

from typing import Any

import pytest
from role_modules import load_role_module

from gnoppix_build.app.drift import Expected, expect_files, judge_drift
from gnoppix_build.render.described import Change, MachineUnit
from gnoppix_build.render.tree import ImageFile

FILE = ImageFile("/etc/a", b"a\n", 0o644, "root", "root", "first")
OTHER = ImageFile("/etc/b", b"b\n", 0o640, "root", "www-data", "second")
UNIT = MachineUnit("a.service", "enable", "first", "ordinary")
MODEL = "/usr/share/gnoppix/models/third.gguf"
FILES = expect_files((FILE, OTHER), {MODEL: "third"}, {MODEL: "d" * 64})
EXPECTED = Expected(FILES, (UNIT,))
SERVICE = {
    "ActiveState": "active",
    "BusName": "",
    "ConditionResult": "yes",
    "ConditionTimestampMonotonic": "70",
    "ExecMainStartTimestampMonotonic": "71",
    "RemainAfterExit": "no",
    "RequiredBy": "",
    "TriggeredBy": "",
    "Type": "simple",
    "WantedBy": "multi-user.target",
}
"""A service that a target has started, as systemd tells it."""
STOPPED = {"enabled": "enabled", "ActiveState": "inactive"}


def seen() -> dict[str, Any]:
    """Give a machine as it shall be."""
    return {
        "files": {
            file.path: {
                "mode": f"{file.mode:04o}",
                "owner": file.owner,
                "group": file.group,
                "sha256": file.sha256,
            }
            for file in EXPECTED.files
        },
        "units": {"a.service": {"enabled": "enabled", **SERVICE}},
        "targets": ["basic.target", "multi-user.target"],
        "record": {"files": {"/etc/a": "first"}, "units": {}, "unsettled": []},
    }


def told(machine: dict[str, Any]) -> list[tuple[str, str, str]]:
    findings = judge_drift(EXPECTED, machine)
    return [
        (each.check, each.component, each.evidence) for each in findings if each.outcome == "fail"
    ]


def test_machine_as_it_shall_be_has_no_drift() -> None:
    findings = judge_drift(EXPECTED, seen())
    assert [(each.component, each.outcome) for each in findings] == [
        ("first", "pass"),
        ("second", "pass"),
        ("third", "pass"),
    ]


def test_drift_is_told_file_by_file_and_unit_by_unit() -> None:
    machine = seen()
    machine["files"]["/etc/a"] = None
    machine["files"]["/etc/b"] |= {"mode": "0644", "sha256": "", "group": "root"}
    machine["units"]["a.service"] |= {"enabled": "masked", "ActiveState": "inactive"}
    machine["record"]["files"]["/etc/gone"] = "third"
    machine["record"]["unsettled"] = ["/etc/a"]
    assert told(machine) == [
        ("no_drift[/etc/a]", "first", "it is not there"),
        (
            "no_drift[/etc/b]",
            "second",
            "mode `0644`, not `0640`; group `root`, not `www-data`; other bytes",
        ),
        ("no_drift[a.service]", "first", "it is `masked`, not enabled"),
        ("no_drift[/etc/gone]", "third", "the profile has it no more; provision takes it away"),
        ("no_drift[/etc/a]", "first", "the last run was interrupted; provision again"),
    ]


def test_payload_that_was_altered_or_removed_is_drift() -> None:
    machine = seen()
    machine["files"][MODEL] |= {"sha256": "e" * 64, "mode": "0644"}
    assert told(machine) == [
        (f"no_drift[{MODEL}]", "third", "mode `0644`, not `0444`; other bytes")
    ]
    machine["files"][MODEL] = None
    assert told(machine) == [(f"no_drift[{MODEL}]", "third", "it is not there")]


def test_digests_are_those_of_the_bytes() -> None:
    digests = {file.path: file.sha256 for file in FILES}
    assert digests["/etc/a"] == "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7"


def test_unit_that_failed_is_drift() -> None:
    machine = seen()
    machine["units"]["a.service"]["ActiveState"] = "failed"
    assert told(machine) == [("no_drift[a.service]", "first", "it has failed")]


def is_told_by_both(
    monkeypatch: pytest.MonkeyPatch, wanted: Change, difference: dict[str, str]
) -> bool:
    """Tell whether drift is found where provisioning has something to do, and the other way."""
    units = load_role_module("gnoppix_units", monkeypatch)
    machine = seen()
    machine["units"]["a.service"] |= difference
    expected = Expected(FILES, (MachineUnit("a.service", wanted, "first", "ordinary"),))
    findings = judge_drift(expected, machine)
    monkeypatch.setattr(units, "active_targets", lambda: {*machine["targets"]})
    lacks = units.find_lacks({"a.service": wanted}, machine["units"])
    assert bool(lacks) == any(each.outcome == "fail" for each in findings)
    return bool(lacks)


@pytest.mark.parametrize(
    ("wanted", "difference"),
    [
        ("enable", STOPPED),
        ("enable", {**STOPPED, "Type": "oneshot", "RemainAfterExit": "yes"}),
        ("enable", {**STOPPED, "Type": "oneshot", "ExecMainStartTimestampMonotonic": "0"}),
        ("enable", {**STOPPED, "WantedBy": "", "RequiredBy": "basic.target"}),
        ("enable", {"ActiveState": "failed"}),
        ("mask", {"enabled": "masked"}),
        ("mask", {"enabled": "masked", "ActiveState": "activating", "WantedBy": "b.service"}),
        ("disable", {"enabled": "disabled", "WantedBy": ""}),
    ],
)
def test_unit_that_does_what_it_should_not_now_is_drift(
    monkeypatch: pytest.MonkeyPatch, wanted: Change, difference: dict[str, str]
) -> None:
    assert is_told_by_both(monkeypatch, wanted, difference)


@pytest.mark.parametrize(
    ("wanted", "difference"),
    [
        ("enable", {}),
        ("enable", {"ActiveState": "activating"}),
        ("enable", {**STOPPED, "Type": "oneshot"}),
        ("enable", {**STOPPED, "ConditionResult": "no"}),
        ("enable", {**STOPPED, "TriggeredBy": "a.socket"}),
        ("enable", {**STOPPED, "WantedBy": "graphical.target b.service"}),
        ("mask", {"enabled": "masked", "ActiveState": "failed"}),
        ("disable", {"enabled": "disabled", "ActiveState": "inactive"}),
        ("disable", {"enabled": "disabled", "WantedBy": "", "BusName": "org.example.A"}),
        ("disable", {"enabled": "static", "WantedBy": "b.service"}),
    ],
)
def test_unit_with_a_reason_is_no_drift(
    monkeypatch: pytest.MonkeyPatch, wanted: Change, difference: dict[str, str]
) -> None:
    assert not is_told_by_both(monkeypatch, wanted, difference)

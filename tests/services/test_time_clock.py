# SPDX-License-Identifier: GPL-3.0-or-later
"""What `time` makes of the answers of web servers, and of the names in chrony's file."""

import time
from pathlib import Path

import pytest

from gnoppix_build.catalog.load import COMPONENTS_FOLDER
from gnoppix_build.render.encoders import encode_chrony

RENDERED = COMPONENTS_FOLDER / "time/cases/default/expected/usr/lib/gnoppix/set-clock"
DAY_S = 86400
# Stands for torsocks: each "server" is what htpdate says of it, or a word for silence.
FAKE = """#!/bin/sh
for said; do :; done
case $said in
refused) echo "No server suitable for synchronization found" >&2; exit 1 ;;
right) echo "No time correction needed" ;;
*) echo "Offset $said seconds" ;;
esac
"""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """Take the clock's place: the seconds by which it was set."""
    program = tmp_path / "torsocks"
    program.write_text(FAKE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    shifts: list[float] = []
    monkeypatch.setattr(
        time, "clock_settime", lambda _, moment: shifts.append(round(moment - time.time()))
    )
    return shifts


def run_set_clock(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    monkeypatch.setattr("sys.argv", ["set-clock", *answers])
    exec(compile(RENDERED.read_text(), RENDERED, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize(
    ("answers", "shift"),
    [
        (("86400.250", "86399.000", "86401.000"), DAY_S),
        (("-90000.000", "-90000.000", "-90001.000"), -90000),
        # One that lies, one that is silent: three of five agree.
        (("86400.000", "86400.000", "86400.000", "31000000.000", "refused"), DAY_S),
        (("2.000",), 2),
    ],
)
def test_set_clock_follows_most_servers(
    monkeypatch: pytest.MonkeyPatch, clock: list[float], answers: tuple[str, ...], shift: int
) -> None:
    run_set_clock(monkeypatch, *answers)
    assert clock == [shift]


@pytest.mark.parametrize("answers", [("right", "0.500", "-0.500"), ("right", "right", "refused")])
def test_set_clock_leaves_a_right_clock(
    monkeypatch: pytest.MonkeyPatch, clock: list[float], answers: tuple[str, ...]
) -> None:
    run_set_clock(monkeypatch, *answers)
    assert clock == []


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (("refused", "refused", "refused"), "set-clock: no server answered"),
        (
            ("86400.000", "refused", "refused"),
            "set-clock: 1 of 3 servers agree, which is not most of them",
        ),
        (
            ("86400.000", "86400.000", "3600.000", "right"),
            "set-clock: 1 of 4 servers agree, which is not most of them",
        ),
    ],
)
def test_set_clock_refuses_what_few_servers_say(
    monkeypatch: pytest.MonkeyPatch, clock: list[float], answers: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(SystemExit) as refusal:
        run_set_clock(monkeypatch, *answers)
    assert (clock, refusal.value.code) == ([], reason)


def test_chrony_name_cannot_bring_options_along() -> None:
    assert encode_chrony("nts.example.com port 123") == "nts.example.comport123"

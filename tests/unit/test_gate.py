# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate of a machine: a change ends confirmed or undone, whatever meets it on its way.

The files are real; systemd is played by what a test says of it.
"""

import base64
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from role_modules import load_role_module

UNIT = "shut.service"
START = ("systemctl", "start", "--", UNIT)
RESTART_TIMER = ("systemctl", "restart", "gnoppix-go-back.timer")


class Halt:
    """A place at which somebody stands still until they are let go."""

    def __init__(self) -> None:
        self.reached, self.let_go = threading.Event(), threading.Event()

    def stand(self) -> None:
        self.reached.set()
        assert self.let_go.wait(20)


class Gate:
    """The module on a machine of its own, and the commands that it gave."""

    def __init__(self, module: Any, work: Path) -> None:
        self.module = module
        self.file = work / "rules"
        self.asked: list[tuple[str, ...]] = []
        self.at: dict[tuple[str, ...], Callable[[], None]] = {}

    def run(self, *argv: str, **_: object) -> str:
        self.asked.append(argv)
        self.at.get(argv, lambda: None)()
        return "inactive\n" if "--property=ActiveState" in argv else ""

    def arm(self, seconds: int = 30) -> None:
        entry = {
            "path": str(self.file),
            "mode": "0644",
            "owner": str(os.getuid()),
            "group": str(os.getgid()),
            "component": "shut",
            "content": base64.b64encode(b"new\n").decode(),
        }
        unit = {"unit": UNIT, "wanted": "enable", "component": "shut", "part": "gate"}
        kept = {"gone_files": [], "gone_units": [], "stirred": ["shut"]}
        self.module.arm({"files": [entry], "units": [unit], **kept}, seconds, 0)

    def timer(self) -> str:
        return Path(self.module.UNITS, self.module.TIMER).read_text()

    def is_as_before(self) -> bool:
        record = self.module.Record.load()
        return self.file.read_text() == "old\n" and record.files == {} and record.unsettled == []


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    module = load_role_module("gnoppix_gate", monkeypatch)
    gate = Gate(module, tmp_path)
    folder = tmp_path / "gate"
    for name in ("BEFORE", "SWITCH", "ENDED"):
        monkeypatch.setattr(module, name, str(folder / Path(getattr(module, name)).name))
    monkeypatch.setattr(module, "FOLDER", str(folder))
    monkeypatch.setattr(module, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(module, "UNITS", str(tmp_path))
    monkeypatch.setattr(module, "LONGEST_SWITCH_S", 2)
    monkeypatch.setattr(module.gnoppix_record, "PATH", str(tmp_path / "machine.json"))
    monkeypatch.setattr(module, "run", gate.run)
    monkeypatch.setattr(module, "_has_nft", lambda: False)
    monkeypatch.setattr(module.gnoppix_units, "run", gate.run)
    monkeypatch.setattr(module.gnoppix_units, "enabled_state", lambda _: "enabled")
    # Whose the files are is not asked here.
    monkeypatch.setattr(os, "fchown", lambda *_: None)
    gate.file.write_text("old\n")
    return gate


def expect_refusal(future: "Future[None]", words: str) -> None:
    error = future.exception(20)
    assert type(error).__name__ == "Refused"
    assert words in str(error)


def test_gate_keeps_a_change_that_is_confirmed(gate: Gate) -> None:
    gate.arm()
    gate.module.switch_now()
    gate.module.confirm()
    assert gate.file.read_text() == "new\n"
    record = gate.module.Record.load()
    assert [*record.files] == [str(gate.file)]
    assert record.unsettled == []
    gate.module.go_back("the timer came too late")
    assert gate.file.read_text() == "new\n"


def test_gate_counts_its_time_from_the_end_of_the_change(gate: Gate) -> None:
    gate.arm(30)
    assert "OnActiveSec=32\n" in gate.timer()
    before = gate.asked.count(RESTART_TIMER)
    gate.module.switch_now()
    assert "OnActiveSec=30\n" in gate.timer()
    assert gate.asked.count(RESTART_TIMER) == before + 1
    assert gate.asked.index(START) < len(gate.asked) - gate.asked[::-1].index(RESTART_TIMER)


def test_gate_that_goes_back_while_it_is_changed_stays_back(gate: Gate) -> None:
    """The change is not to be stopped, and ends after its time."""
    gate.arm()
    slow = Halt()
    gate.at[START] = slow.stand
    with ThreadPoolExecutor() as pool:
        switch = pool.submit(gate.module.switch_now)
        assert slow.reached.wait(20)
        back = pool.submit(gate.module.go_back, "nobody came through in time")
        with pytest.raises(TimeoutError):
            back.result(0.5)
        slow.let_go.set()
        switch.result(20)
        back.result(20)
    assert ("systemctl", "stop", "gnoppix-switch.service") in gate.asked
    assert gate.is_as_before()
    with pytest.raises(gate.module.Refused, match="nobody came through in time"):
        gate.module.confirm()
    assert gate.is_as_before()


def test_gate_is_not_confirmed_while_it_goes_back(gate: Gate) -> None:
    gate.arm()
    gate.module.switch_now()
    slow = Halt()
    gate.at[("systemctl", "daemon-reload")] = slow.stand
    with ThreadPoolExecutor() as pool:
        back = pool.submit(gate.module.go_back, "nobody came through in time")
        assert slow.reached.wait(20)
        assert gate.module.is_going_back()
        confirmed = pool.submit(gate.module.confirm)
        expect_refusal(confirmed, "nobody came through in time")
        slow.let_go.set()
        back.result(20)
    assert gate.is_as_before()
    assert not gate.module.is_pending()


def test_gate_that_goes_back_first_is_not_confirmed_by_who_waits(gate: Gate) -> None:
    """Whoever confirms has seen the change's good end, and comes second to the lock."""
    gate.arm()
    gate.module.switch_now()
    seen = Halt()
    await_end = gate.module.await_end

    def see_the_end() -> None:
        await_end()
        seen.stand()

    gate.module.await_end = see_the_end
    with ThreadPoolExecutor() as pool:
        confirmed = pool.submit(gate.module.confirm)
        assert seen.reached.wait(20)
        gate.module.go_back("nobody came through in time")
        seen.let_go.set()
        expect_refusal(confirmed, "nobody came through in time")
    assert gate.is_as_before()


def test_gate_that_cannot_be_changed_goes_back_and_says_why(gate: Gate) -> None:
    gate.arm()

    def refuse() -> None:
        raise gate.module.Refused("there is a mistake in it")

    gate.at[START] = refuse
    gate.module.switch_now()
    assert gate.is_as_before()
    with pytest.raises(gate.module.Refused, match="there is a mistake in it"):
        gate.module.confirm()


def test_gate_is_back_before_its_timer_goes(gate: Gate) -> None:
    """Whatever ends the program while systemd forgets its unit, nothing is left to be done."""
    gate.arm()
    gate.module.switch_now()
    pending: list[bool] = []
    stop = ("systemctl", "disable", "--now", gate.module.TIMER)
    gate.at[stop] = lambda: pending.append(gate.module.is_pending())
    gate.module.go_back("nobody came through in time")
    assert pending == [False]
    assert gate.is_as_before()


def test_gate_goes_on_with_a_return_that_was_cut_short(gate: Gate) -> None:
    gate.arm()
    gate.module.switch_now()

    def lose_power() -> None:
        raise KeyboardInterrupt

    gate.at[("systemctl", "daemon-reload")] = lose_power
    with pytest.raises(KeyboardInterrupt):
        gate.module.go_back("nobody came through in time")
    gate.at.clear()
    assert gate.module.is_going_back()
    gate.module.switch_now()
    gate.module.go_back("another reason")
    assert gate.is_as_before()
    with pytest.raises(gate.module.Refused, match="nobody came through in time"):
        gate.module.confirm()


def test_gate_takes_no_second_change_while_one_is_open(gate: Gate) -> None:
    gate.arm()
    with pytest.raises(gate.module.Refused, match="neither confirmed nor undone"):
        gate.arm()
    gate.module.go_back("it was given up")
    gate.arm()

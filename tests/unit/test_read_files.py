# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that no declared unit reads: who has them read on a machine, and in which order."""

from pathlib import Path
from typing import Any

import pytest
from role_modules import load_role_module

from gnoppix_build.render.initrd import INITRD_READS

BLOCKED = "/etc/modprobe.d/60-gnoppix-hardening.conf"
JOURNAL = "/etc/systemd/journald.conf.d/50-gnoppix.conf"
OTHER = "/etc/motd"
RELOAD = "systemctl daemon-reload"
RESTART_JOURNAL = "systemctl try-restart systemd-journald.service"
ZRAM = "/etc/systemd/zram-generator.conf"


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the role's module on a machine where commands are noted, and nothing else happens."""
    units = load_role_module("gnoppix_units", monkeypatch)
    units.asked = []
    monkeypatch.setattr(units, "run", lambda *argv: units.asked.append(" ".join(argv)))
    monkeypatch.setattr(units, "ZRAM_SWAPS", str(tmp_path / "dev-zram*.swap"))
    monkeypatch.setattr(units, "WRITE_INITRD", str(tmp_path / "update-initramfs"))
    monkeypatch.setattr(units, "is_container", lambda: False)
    return units


def test_journal_is_restarted_when_its_settings_change(units: Any) -> None:
    units.read_files([OTHER])
    assert units.asked == [RELOAD]
    units.read_files([JOURNAL])
    assert units.asked == [RELOAD, RESTART_JOURNAL, RELOAD]


def test_compressed_memory_is_made_anew_when_its_settings_change(
    units: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = tmp_path / "dev-zram0.swap", tmp_path / "dev-zram1.swap"
    before.touch()

    def run(*argv: str) -> None:
        units.asked.append(" ".join(argv))
        if argv == ("systemctl", "daemon-reload"):
            before.unlink(missing_ok=True)
            after.touch()

    monkeypatch.setattr(units, "run", run)
    units.read_files([ZRAM])
    assert units.asked == [
        "systemctl stop -- dev-zram0.swap",
        RELOAD,
        "systemctl start -- dev-zram1.swap",
        RELOAD,
    ]


def test_compressed_memory_is_no_affair_of_a_machine_without_it(units: Any) -> None:
    units.read_files([ZRAM])
    assert units.asked == [RELOAD, RELOAD]


def test_initrds_are_written_when_what_they_have_changes(
    units: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    units.write_initrds([BLOCKED])
    assert units.asked == []
    Path(units.WRITE_INITRD).touch()
    units.write_initrds([JOURNAL, OTHER])
    assert units.asked == []
    units.write_initrds([OTHER, BLOCKED])
    assert units.asked == [f"{units.WRITE_INITRD} -u -k all"]
    monkeypatch.setattr(units, "is_container", lambda: True)
    units.write_initrds([BLOCKED])
    assert len(units.asked) == 1


def test_initrds_of_machines_have_what_those_of_images_have(units: Any) -> None:
    assert units.INITRD_READS == INITRD_READS

# SPDX-License-Identifier: GPL-3.0-or-later
"""What `debian-base` promises of a system."""

from typing import Any

import pytest

UTC = ("/usr/share/zoneinfo/Etc/UTC", "/usr/share/zoneinfo/UTC")


@pytest.mark.static
@pytest.mark.running
def test_root_has_no_password(host: Any) -> None:
    """Nobody can log in as root with a password."""
    password = host.user("root").password
    assert password.startswith(("!", "*")), f"root's password field is `{password[:3]}...`"


@pytest.mark.static
@pytest.mark.running
def test_time_zone_is_utc(host: Any) -> None:
    """The time zone tells nothing about the place."""
    zone = host.file("/etc/localtime").linked_to
    assert zone in UTC, f"/etc/localtime leads to {zone}"


@pytest.mark.running
def test_no_unit_has_failed(host: Any) -> None:
    """Every unit that was started did its work."""
    listing = host.check_output("systemctl list-units --state=failed --plain --no-legend")
    failed = [line.split()[0] for line in listing.splitlines()]
    assert failed == [], f"failed: {', '.join(failed)}"


@pytest.mark.running
def test_journal_is_not_on_disk(host: Any) -> None:
    """The journal is kept in memory only; what a machine had on its disk before is left there."""
    pid = host.check_output("systemctl show --property=MainPID --value systemd-journald.service")
    files = host.check_output(f"find /proc/{pid}/fd -type l -printf '%l\n'").splitlines()
    journals = [path for path in files if path.endswith(".journal")]
    assert journals
    assert [path for path in journals if not path.startswith("/run/log/journal/")] == []

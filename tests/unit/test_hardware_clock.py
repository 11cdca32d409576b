# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine's hardware clock shows at its start."""

from datetime import UTC, datetime
from itertools import pairwise

from gnoppix_build.effects.qemu_command import MachinePlaces, MachineSize, OwnLan, machine_command

PLACES = MachinePlaces("iso", "scratch", "recording", "serial", shell_socket=3, monitor_socket=4)


def clock_of(hardware_clock: datetime | None) -> list[str]:
    command = machine_command(
        PLACES, "bios", MachineSize(), OwnLan(), {}, kvm=False, hardware_clock=hardware_clock
    )
    return [value for name, value in pairwise(command) if name == "-rtc"]


def test_clock_is_right_unless_told_otherwise() -> None:
    assert clock_of(None) == []


def test_clock_shows_what_it_is_told() -> None:
    assert clock_of(datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)) == ["base=2026-02-03T04:05:06"]

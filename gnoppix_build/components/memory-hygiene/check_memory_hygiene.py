# SPDX-License-Identifier: GPL-3.0-or-later
"""What `memory-hygiene` promises of a system."""

from collections.abc import Mapping
from typing import Any

import pytest

ASLEEP_ON_DISK = ("hibernate", "hybrid-sleep", "suspend-then-hibernate")


@pytest.mark.static
@pytest.mark.running
def test_sleeping_on_a_disk_is_off(host: Any) -> None:
    """No way to sleep that writes the memory to a disk can be started."""
    targets = [f"{name}.target" for name in ASLEEP_ON_DISK]
    assert [name for name in targets if not host.service(name).is_masked] == []


@pytest.mark.running
def test_kernel_does_not_hibernate(host: Any) -> None:
    """The kernel itself refuses to hibernate."""
    assert host.check_output("cat /sys/power/disk") == "[disabled]"


@pytest.mark.running
def test_swap_is_in_memory_only(host: Any, options: Mapping[str, object]) -> None:
    """What is swapped goes to compressed memory, and to nothing else."""
    _, *areas = host.check_output("cat /proc/swaps").splitlines()
    expected = ["/dev/zram0"] if options["zram-percent"] else []
    assert [area.split()[0] for area in areas] == expected


@pytest.mark.running
def test_memory_is_wiped(host: Any) -> None:
    """The kernel says that it fills memory with zeros, given out and given back."""
    log = host.check_output("journalctl --boot --dmesg --output=cat --grep='mem auto-init'")
    assert "heap alloc:on" in log
    assert "heap free:on" in log


@pytest.mark.running
@pytest.mark.destructive
def test_swap_of_a_disk_is_passed_over(host: Any) -> None:
    """A swap partition that fstab names becomes no unit."""
    host.check_output("echo '/dev/gnoppix-disk none swap sw 0 0' >> /etc/fstab")
    host.check_output("systemctl daemon-reload")
    made = "find /run/systemd/generator /run/systemd/generator.early /run/systemd/generator.late"
    assert host.run(f"{made} -name '*gnoppix*disk*.swap'").stdout.split() == []

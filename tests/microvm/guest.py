# SPDX-License-Identifier: GPL-3.0-or-later
"""An image in a virtual machine on a cable of the test's own, its hardware clock off or not."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import Built
from lab_root import make_lab_root

from gnoppix_build.cli.locks import tools_wanted
from gnoppix_build.effects.qemu import Machine
from gnoppix_build.effects.qemu_command import MachineSize, TapLan
from gnoppix_build.targets.shell import CommandOutcome

BOOT_TIMEOUT_S = 600.0
PATIENCE_S = 300.0


class Guest:
    """A machine that is up, with a root shell."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def run(self, command: str, timeout_s: float = 120.0) -> CommandOutcome:
        """Run a command to its end."""
        return self.machine.run(command, timeout_s)

    def said(self, command: str, timeout_s: float = 120.0) -> str:
        """Run a command that has to succeed; give what it said."""
        done = self.run(command, timeout_s)
        assert done.status == 0, f"{command}: {done.stderr.decode() or done.stdout.decode()}"
        return done.stdout.decode().strip()

    def is_true(self, command: str) -> bool:
        """Tell whether a command succeeds."""
        return self.run(command).status == 0

    def write(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Write a file, its folder too."""
        text = base64.b64encode(content).decode()
        self.said(f"install -D -m {mode:o} /dev/null {path} && echo {text} | base64 -d >{path}")

    def plug(self, *, is_in: bool) -> None:
        """Put the cable in, or pull it out: the card sees that."""
        self.machine._monitor.run_human_command(f"set_link lan {'on' if is_in else 'off'}")

    def wait_until(
        self, is_true: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S
    ) -> None:
        """Wait for something to come true, or tell what the system says."""
        deadline = time.monotonic() + timeout_s
        while not is_true():
            assert time.monotonic() < deadline, f"no {what} in {timeout_s:.0f} s\n{self.tell()}"
            time.sleep(0.3)

    def tell(self) -> str:
        """Give the end of the journal."""
        return self.said("journalctl --no-pager --boot --lines=120 --output=short-monotonic")

    def is_off_by(self) -> float:
        """Give the seconds by which the system clock is before the host's."""
        return float(self.said("date +%s.%N")) - time.time()

    def hardware_clock_is_off_by(self) -> float:
        """Give the seconds by which the hardware clock is before the host's."""
        return float(self.said("cat /sys/class/rtc/rtc0/since_epoch")) - time.time()

    def uptime_s(self) -> float:
        """Give the seconds since the start, which nothing that sets the clock changes."""
        return float(self.said("cat /proc/uptime").split()[0])

    def moments_of(self, unit: str, words: str) -> list[float]:
        """Give when a unit said something: seconds since the start."""
        journal = self.said(f"journalctl --boot --output=json --unit={unit}").splitlines()
        entries = [json.loads(line) for line in journal]
        return [
            int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6
            for entry in entries
            if words in str(entry["MESSAGE"])
        ]


@contextmanager
def booted(
    image: Built, tap: int, work: Path, clock_off_s: int, *, plugged: bool = True
) -> Iterator[Guest]:
    """Boot an image whose card is a port of a network, its hardware clock off by some seconds."""
    machine = Machine(
        image.iso,
        make_lab_root(tools_wanted()),
        work,
        lan=TapLan(tap),
        size=MachineSize(processors=2, memory_mib=1536),
        hardware_clock=datetime.now(UTC) + timedelta(seconds=clock_off_s),
    )
    with machine:
        guest = Guest(machine)
        guest.plug(is_in=plugged)
        machine.wait_for_shell(BOOT_TIMEOUT_S)
        yield guest

# SPDX-License-Identifier: GPL-3.0-or-later
"""A stock machine with a kernel, a boot loader and disks of its own, for what a container hides."""

import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from commanded import Commanded, Ended, in_text
from lab_root import make_lab_root
from machine_lab import (
    HOST,
    MACHINE,
    OPERATOR,
    STOCK,
    MachineLab,
    furnish,
    make_archive,
    serve_archive,
    ssh_command,
)
from net_namespace import Namespace
from stock_disk import DISK, LOADER, PACKAGES, furnish_disk, make_disks

from gnoppix_build.cli.locks import tools_wanted
from gnoppix_build.effects.process import CLEAN_ENVIRONMENT, place_of_binding
from gnoppix_build.effects.qemu import start_in_tools

START_S = 400.0
BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True)
class VirtualMachine(Commanded):
    """A machine that its operator reaches by ssh, and in no other way."""

    operator: Namespace
    work: Path

    def try_run(self, *argv: str, stdin: bytes = b"") -> Ended:
        """Run a command, and give what became of it."""
        done = subprocess.run(
            self.operator.command(*ssh_command(self.work, HOST, shlex.join(argv))),
            env=CLEAN_ENVIRONMENT,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=300,
        )
        return in_text(argv, done)

    def restart(self) -> None:
        """Start the machine anew, by its own means and its own boot loader."""
        before = self.run("cat", BOOT_ID)
        self.try_run("systemctl", "reboot")
        self.wait_for_start(before)

    def wait_for_start(self, before: str = "") -> None:
        """Return when it has started, and not when it still has the start `before`."""
        deadline = time.monotonic() + START_S
        while self.try_run("cat", BOOT_ID).stdout in {"", before}:
            assert time.monotonic() < deadline, f"see {self.work}/machine/serial.log"
            time.sleep(2)
        self.try_run("systemctl", "is-system-running", "--wait")


@contextmanager
def running_virtual_machine(work: Path, packages: Sequence[str]) -> Iterator[MachineLab]:
    """Boot a stock machine from its disk; `packages` are what its archive offers besides."""
    stock = tuple(sorted({*STOCK, *PACKAGES}))
    root, folder = make_lab_root(stock), work / "machine"
    archive = make_archive(work, packages, stock)
    furnish(folder / "upper", work, MACHINE)
    make_disks(root, folder, furnish_disk(root, folder, MACHINE, OPERATOR))
    with Namespace() as operator, (work / "qemu.log").open("wb") as log:
        tap = operator.make_tap("machine0")
        operator.run("ip", "link", "set", "machine0", "up")
        serve_archive(operator, archive)
        tools = make_lab_root(tools_wanted())
        process = start_in_tools(
            tools, {"machine": folder}, _qemu_command(tap), log=log, descriptors=(tap,)
        )
        try:
            machine = VirtualMachine(operator, work)
            machine.wait_for_start()
            yield MachineLab(machine, operator, work)
        finally:
            process.kill()
            process.wait()


def _qemu_command(tap: int) -> tuple[str, ...]:
    folder = place_of_binding("machine")
    return (
        "qemu-system-x86_64",
        *("-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35"),
        *("-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2", "-m", "1536"),
        *_disk("loader", f"{folder}/{LOADER}", "bootindex=1"),
        *_disk("debian", f"{folder}/{DISK}", "bootindex=2"),
        *("-netdev", f"tap,id=lan,fd={tap}", "-device", "virtio-net-pci,netdev=lan,romfile="),
        *("-serial", f"file:{folder}/serial.log", "-device", "virtio-rng-pci"),
    )


def _disk(name: str, path: str, order: str) -> tuple[str, ...]:
    return (
        *("-drive", f"if=none,id={name},format=raw,file={path}"),
        *("-device", f"virtio-blk-pci,drive={name},{order}"),
    )

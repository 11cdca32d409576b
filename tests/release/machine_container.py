# SPDX-License-Identifier: GPL-3.0-or-later
"""A booted container that an archive of packages lies beside: a machine to be configured."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml
from lab_root import lock_packages

from gnoppix_build.cli import session
from gnoppix_build.effects import pool
from gnoppix_build.effects.apt_mirrors import host_mirrors

OF_A_MACHINE = ("ansible-core", "dbus", "python3-apt", "systemd", "systemd-sysv", "udev")


class UnsafeLoader(yaml.SafeLoader):
    """Reads the rendered variables, whose tag is for Ansible."""


def construct_list(loader: UnsafeLoader, node: yaml.SequenceNode) -> list[object]:
    return loader.construct_sequence(node, deep=True)


UnsafeLoader.add_constructor("!unsafe", construct_list)


def declared_packages(tree: Path) -> set[str]:
    variables = yaml.load((tree / "project/group_vars/all.yml").read_text(), UnsafeLoader)
    return {*variables["gnoppix_machine"][0]["packages"]}


def offer_packages(packages: set[str], root: Path) -> None:
    """Give the machine, which has no network, an archive of what it has and is to get."""
    cache = session.cache_folder()
    wanted = lock_packages(tuple(sorted({*OF_A_MACHINE, *packages})), cache).tools.packages
    pool.fetch(wanted, host_mirrors(None), cache / "pool", root.parent / "fetch.log")
    pool.write_repository(wanted, cache / "pool", root.parent / "archive")
    source = root / "etc/apt/sources.list.d/archive.list"
    source.write_text("deb [trusted=yes] file:///beside/archive ./\n")


@contextmanager
def booted(root: Path) -> Iterator["Machine"]:
    """Boot a tree as a container without a network card; it sees what lies beside its root."""
    container = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot")
    places = [f"--directory={root}", f"--bind-ro={root.parent}:/beside", "--private-network"]
    log = root.parent / "console.log"
    with log.open("wb") as console:
        process = subprocess.Popen(
            (*container, *places), stdin=subprocess.DEVNULL, stdout=console, stderr=console
        )
        try:
            machine = Machine(process.pid, log)
            machine.wait_until_up()
            yield machine
        finally:
            process.terminate()
            process.wait(timeout=30)


@dataclass(frozen=True)
class Machine:
    """A booted container."""

    nspawn_pid: int
    console: Path

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in it."""
        children = Path(f"/proc/{self.nspawn_pid}/task/{self.nspawn_pid}/children")
        leader = children.read_text().split()[0]
        return subprocess.run(
            ("nsenter", "--all", f"--target={leader}", "--", *command),
            check=False,
            capture_output=True,
            text=True,
        )

    def wait_until_up(self, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        state = ""
        while time.monotonic() < deadline:
            with suppress(FileNotFoundError, IndexError):
                state = self.run("systemctl", "is-system-running").stdout.strip()
            if state in {"running", "degraded"}:
                return
            time.sleep(0.5)
        console = self.console.read_text(errors="replace")
        raise AssertionError(f"the container did not boot: {state}\n{console[-1000:]}")

    def play(self) -> str:
        """Apply the rendered tree; gives Ansible's last line."""
        inventory = ("--inventory", "/beside/rendered/inventory", "--connection", "local")
        said = self.run("ansible-playbook", *inventory, "/beside/rendered/project/machine.yml")
        assert said.returncode == 0, (
            said.stdout + self.run("journalctl", "-b", "-p", "warning").stdout
        )
        return said.stdout.strip().splitlines()[-1]

# SPDX-License-Identifier: GPL-3.0-or-later
"""A booted container over a Debian tree that is for reading only; it vanishes with the test."""

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from commanded import Commanded, Ended, in_text
from net_namespace import Namespace

from gnoppix_build.render.tree import ImageFile
from gnoppix_build.targets.shell import CommandOutcome

START_S = 150.0
STOP_S = 10.0
NUMBERS = count()
HIERARCHIES = tuple(Path("/sys/fs/cgroup", name) for name in ("", "systemd", "unified"))
# Arguments: tree, a folder for what changes, a group, and nspawn's own. The mount is this process's
# alone. Without a group of its own, a container's systemd clears away those of another.
BOOT = """
set -e
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    if [ -e "$hierarchy/cgroup.procs" ]; then
        mkdir "$hierarchy/$3"
        echo 0 > "$hierarchy/$3/cgroup.procs"
    fi
done
mkdir -p "$2/upper" "$2/scratch" "$2/tree"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/scratch" overlay "$2/tree"
tree=$2/tree
# Its network is made by the test: nothing is to be waited for at its start.
ln -sf /dev/null "$tree/etc/systemd/system/systemd-networkd-wait-online.service"
shift 3
exec systemd-nspawn --directory="$tree" "$@"
"""
OPTIONS = ("--quiet", "--register=no", "--keep-unit", "--console=pipe", "--boot")
CAPABILITIES = "--capability=CAP_NET_ADMIN,CAP_NET_RAW"


class Container(Commanded):
    """A system that has started when the block begins; its network is that of `namespace`."""

    def __init__(self, root: Path, work: Path, namespace: Namespace) -> None:
        self._namespace = namespace
        self._group = f"gnoppix-lab-{os.getpid()}-{next(NUMBERS)}"
        self._command = namespace.command(
            # Of its own process namespace: nspawn alone would leave the system running behind.
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("sh", "-c", BOOT, "sh", root, work, self._group),
            *(*OPTIONS, CAPABILITIES),
        )
        self._work = work

    def __enter__(self) -> Self:
        self._work.mkdir(parents=True, exist_ok=True)
        with (self._work / "console.log").open("wb") as log:
            self._process = self._namespace.start(self._command, log)
        deadline = time.monotonic() + START_S
        state = ""
        while state not in {"running", "degraded"}:
            said = (self._work / "console.log").read_text(errors="replace")
            assert time.monotonic() < deadline, f"the container is `{state}`: {said}"
            assert self._process.poll() is None, said
            time.sleep(0.2)
            state = self.try_run("systemctl", "is-system-running").stdout.strip()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._namespace.stop(self._process)
        deadline = time.monotonic() + STOP_S
        while (groups := self._groups()) and time.monotonic() < deadline:
            for group in groups:
                # Its processes are being killed; it is removed when they are gone.
                with suppress(OSError):
                    group.rmdir()
            time.sleep(0.05)

    def restart(self) -> None:
        """Let it lose its power, and start it anew with what it has written."""
        self.__exit__(None, None, None)
        self.__enter__()

    def _groups(self) -> list[Path]:
        """Give the container's control groups, the deepest first."""
        tops = [each / self._group for each in HIERARCHIES if (each / self._group).is_dir()]
        below = [path for top in tops for path in top.rglob("*") if path.is_dir()]
        return sorted([*tops, *below], key=lambda path: len(path.parts), reverse=True)

    def try_run(self, *argv: str, stdin: bytes = b"") -> Ended:
        """Run a command in the container, and give what became of it."""
        leader = self._leader()
        if leader is None:
            return Ended([*argv], 1, "", "the container has no process yet")
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd")
        done = subprocess.run(
            ("nsenter", f"--target={leader}", *spaces, "--", *argv),
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
        )
        return in_text(argv, done)

    @property
    def leader(self) -> str:
        """Give the number of the container's first process, as the host sees it."""
        leader = self._leader()
        assert leader is not None, "the container has ended"
        return leader

    def _leader(self) -> str | None:
        """Give the container's first process: the child of nspawn, the child of unshare."""
        pid = str(self._process.pid)
        for _ in range(2):
            try:
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except FileNotFoundError:
                return None
            if not children:
                return None
            pid = children[0]
        return pid

    def put(self, files: Sequence[ImageFile]) -> None:
        """Write rendered files; a symbolic link in the place of one is replaced."""
        for file in files:
            script = f'mkdir -p "${{1%/*}}" && rm -f "$1" && cat > "$1" && chmod {file.mode:o} "$1"'
            self.run("sh", "-c", script, "sh", file.path, stdin=file.content)
        self.run("systemctl", "daemon-reload")


@dataclass(frozen=True)
class ContainerShell:
    """The root shell that checks of a running system use."""

    container: Container

    def run(self, command: str) -> CommandOutcome:
        """Run one shell command to its end."""
        done = self.container.try_run("sh", "-c", command)
        return CommandOutcome(done.returncode, done.stdout.encode(), done.stderr.encode())

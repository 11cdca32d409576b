# SPDX-License-Identifier: GPL-3.0-or-later
"""A booted container over a Debian tree that is for reading only; it vanishes with the test."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from net_namespace import Namespace

from gnoppix_build.render.tree import ImageFile

START_S = 40.0
# Arguments: tree, a folder for what changes, and nspawn's own. The mount is this process's alone.
BOOT = """
set -e
mkdir -p "$2/upper" "$2/scratch" "$2/tree"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/scratch" overlay "$2/tree"
tree=$2/tree
shift 2
exec systemd-nspawn --directory="$tree" "$@"
"""
OPTIONS = ("--quiet", "--register=no", "--keep-unit", "--console=pipe", "--boot")
CAPABILITIES = "--capability=CAP_NET_ADMIN,CAP_NET_RAW"


class Container:
    """A system that has started when the block begins; its network is that of `namespace`."""

    def __init__(self, root: Path, work: Path, namespace: Namespace) -> None:
        self._namespace = namespace
        self._command = (
            *("unshare", "--mount", "sh", "-c", BOOT, "sh", root, work, *OPTIONS, CAPABILITIES),
            f"--network-namespace-path={namespace.path}",
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

    def try_run(self, *argv: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        """Run a command in the container, and give what became of it."""
        leaders = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        children = leaders.read_text().split()
        if not children:
            return subprocess.CompletedProcess(argv, 1, "", "the container has no process yet")
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd")
        done = subprocess.run(
            ("nsenter", f"--target={children[0]}", *spaces, "--", *argv),
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
        )
        return subprocess.CompletedProcess(
            argv, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def run(self, *argv: str, stdin: bytes = b"") -> str:
        """Run a command in the container to its good end, and give what it printed."""
        done = self.try_run(*argv, stdin=stdin)
        assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr or done.stdout}"
        return done.stdout

    def put(self, files: Sequence[ImageFile]) -> None:
        """Write rendered files; a symbolic link in the place of one is replaced."""
        for file in files:
            script = f'mkdir -p "${{1%/*}}" && rm -f "$1" && cat > "$1" && chmod {file.mode:o} "$1"'
            self.run("sh", "-c", script, "sh", file.path, stdin=file.content)
        self.run("systemctl", "daemon-reload")

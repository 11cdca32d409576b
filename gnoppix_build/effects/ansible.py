# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying a rendered tree to the mounted root of an image, through ansible-runner."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gnoppix_build.effects.faults import CommandFault
from gnoppix_build.effects.process import SEARCH_PATH, require_tool

CHILD = Path(__file__).with_name("ansible_child.py")
PLAYBOOK = "image.yml"
HOST = "image"
# Empty, and named so that neither the host's nor the user's own is read.
CONFIGURATION = "ansible.cfg"
TAIL_LINES = 12


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """How many tasks did something, and how many were run and ended well."""

    changed: int
    ok: int


class TaskFault(CommandFault):
    """A task failed; `task_path` is file:line below the playbooks, empty when no task ran."""

    code = "task"

    def __init__(self, task: str, task_path: str, message: str, log: Path) -> None:
        super().__init__(("ansible-playbook", PLAYBOOK), 2, log, hint=f"see {log}")
        self.task = task
        self.task_path = task_path
        place = f" ({task_path})" if task_path else ""
        self.message = f"`{task}`{place}: {message}"
        self.args = (self.message,)


def apply(
    tree: Path,
    root: Path,
    *,
    log: Path,
    artifacts: Path,
    epoch: int,
    on_task: Callable[[str], None],
    timeout_s: float = 1800.0,
) -> ApplyResult:
    """Bring the configuration of a rendered tree to a root; a second run changes nothing.

    `log` gets all that Ansible says, `artifacts` the runner's events, `on_task` each task's name
    as it starts. Needs root, python3 and python3-apt inside `root`. Raises TaskFault when a task
    fails or `timeout_s` is over, EnvironmentFault when a tool is missing.
    """
    for tool in ("setpriv", "unshare"):
        require_tool(tool)
    log.parent.mkdir(parents=True, exist_ok=True)
    artifacts.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=artifacts) as scratch:
        run_dir = _copy_tree(tree, root, Path(scratch) / "run")
        try:
            (Path(scratch) / CONFIGURATION).touch()
            with _started(run_dir, log, Path(scratch), epoch, timeout_s) as lines:
                return _follow(lines, log, on_task, timeout_s)
        finally:
            _keep_artifacts(run_dir / "artifacts", artifacts)


def _copy_tree(tree: Path, root: Path, run_dir: Path) -> Path:
    """Copy the tree, for the runner writes into it, and say there where the root is."""
    shutil.copytree(tree, run_dir, symlinks=True)
    variables = run_dir / "inventory" / "host_vars" / f"{HOST}.yml"
    variables.parent.mkdir(exist_ok=True)
    # A JSON string is a YAML one; the tag keeps Ansible from taking a path for a template.
    variables.write_text(f"gnoppix_root: !unsafe {json.dumps(str(root.resolve()))}\n")
    return run_dir


@contextmanager
def _started(
    run_dir: Path, log: Path, scratch: Path, epoch: int, timeout_s: float
) -> Iterator[Iterator[str]]:
    """Run the child in a PID namespace of its own: when it ends, so does all that it started."""
    own_processes = ("--fork", "--kill-child=KILL", "--pid", "--mount-proc")
    command = (
        *("setpriv", "--pdeathsig", "KILL", "--", "unshare", *own_processes, "--"),
        *(sys.executable, "-I", str(CHILD), str(run_dir), PLAYBOOK, str(log)),
    )
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            env=_child_environment(scratch, epoch),
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
            umask=0o022,
            text=True,
            encoding="utf-8",
        )
    overtime = threading.Timer(timeout_s, child.kill)
    overtime.start()
    try:
        assert child.stdout is not None
        yield iter(child.stdout)
    finally:
        overtime.cancel()
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def _child_environment(scratch: Path, epoch: int) -> dict[str, str]:
    """Give the whole environment: the runner writes it down, so nothing of the caller's is in it.

    Source: artifacts/IDENT/command of ansible-runner 2.4.
    """
    return {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), SEARCH_PATH)),
        "HOME": str(scratch),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SOURCE_DATE_EPOCH": str(epoch),
        "ANSIBLE_CONFIG": str(scratch / CONFIGURATION),
        "ANSIBLE_HOME": str(scratch / "ansible"),
        "ANSIBLE_INVENTORY_ENABLED": "yaml",
        "ANSIBLE_LOCAL_TEMP": str(scratch / "local"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_REMOTE_TEMP": "/tmp",
    }


def _follow(
    lines: Iterator[str], log: Path, on_task: Callable[[str], None], timeout_s: float
) -> ApplyResult:
    """Read the child's report to its end."""
    task = "ansible-playbook"
    fault: TaskFault | None = None
    ending: dict[str, str | int] = {}
    for line in lines:
        said = json.loads(line)
        if "failure" in said:
            fault = fault or TaskFault(said["task"], said["place"], said["failure"], log)
        elif "task" in said:
            task = said["task"]
            on_task(task)
        else:
            ending = said
    match ending:
        case {"status": "successful", "changed": int(changed), "ok": int(ok)}:
            return ApplyResult(changed=changed, ok=ok)
        case {"status": _}:
            raise fault or TaskFault(task, "", _tail(log), log)
        case _:
            raise TaskFault(task, "", f"it did not end within {timeout_s:g} s, or was killed", log)


def _tail(log: Path) -> str:
    """Give the last lines of the log: a playbook that does not start leaves no failed event."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.splitlines()[-TAIL_LINES:])


def _keep_artifacts(made: Path, artifacts: Path) -> None:
    """Keep the last run's events only: two runs in one folder cannot be told apart."""
    for run in made.glob("*"):
        kept = artifacts / run.name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(run, kept)

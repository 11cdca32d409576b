# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying a rendered tree to the mounted root of an image or to machines, by ansible-runner."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from gnoppix_build.effects.faults import CommandFault
from gnoppix_build.effects.process import SEARCH_PATH, leashed

CHILD = Path(__file__).with_name("ansible_child.py")
IMAGE_PLAYBOOK, MACHINE_PLAYBOOK = "image.yml", "machine.yml"
HOST = "image"
# Empty, and named so that neither the host's nor the user's own is read.
CONFIGURATION = "ansible.cfg"
TAIL_LINES = 12
SSH_ARGUMENTS = (
    *("-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ControlMaster=no"),
    *("-o", "ControlPath=none", "-o", "ServerAliveInterval=10"),
)


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """How many tasks did something, and how many were run and ended well."""

    changed: int
    ok: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that failed on a host; `place` is file:line below the playbooks."""

    host: str
    task: str
    place: str
    message: str

    def __str__(self) -> str:
        """Say where and why."""
        return f"`{self.task}`{f' ({self.place})' if self.place else ''}: {self.message}"


@dataclass(frozen=True, slots=True)
class Change:
    """A task that changed something, or would; `diff` is text, empty unless it was asked for."""

    host: str
    task: str
    diff: str


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """How a playbook is played; no `tags`: all components."""

    is_check: bool = False
    with_diff: bool = False
    tags: tuple[str, ...] = ()

    def of_runner(self) -> dict[str, str]:
        """Give them as arguments of ansible-runner."""
        flags = (("--check", self.is_check), ("--diff", self.with_diff))
        chosen = {
            "cmdline": " ".join(flag for flag, is_set in flags if is_set),
            "tags": ",".join(self.tags),
        }
        return {name: value for name, value in chosen.items() if value}


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told how a play goes on."""

    on_task: Callable[[str], None] = field(default=lambda _task: None)
    on_change: Callable[[Change], None] = field(default=lambda _change: None)


@dataclass(frozen=True, slots=True)
class _Ending:
    """What changed and what was well, by host, and the first failure of each that was lost."""

    changed: Mapping[str, int]
    ok: Mapping[str, int]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class _Play:
    """A copy of a tree with files added, `added`, and how it is played."""

    tree: Path
    added: Mapping[str, str]
    playbook: str
    log: Path
    artifacts: Path
    options: PlayOptions
    environment: Mapping[str, str]
    listener: Listener
    timeout_s: float
    changes_this_system: bool = False


class TaskFault(CommandFault):
    """A task failed; `task_path` is file:line below the playbooks, empty when no task ran."""

    code = "task"

    def __init__(self, failure: Failure, log: Path) -> None:
        super().__init__(("ansible-playbook",), 2, log, hint=f"see {log}")
        self.task = failure.task
        self.task_path = failure.place
        self.message = str(failure)
        self.args = (self.message,)


class HostsFault(CommandFault):
    """Tasks failed on hosts: `failures`; `changed` maps the others to what changed there."""

    code = "task"

    def __init__(self, failures: Sequence[Failure], changed: Mapping[str, int], log: Path) -> None:
        super().__init__(("ansible-playbook",), 2, log, hint=f"see {log}")
        self.failures = tuple(failures)
        self.changed = changed
        self.message = "\n".join(f"`{each.host}`: {each}" for each in failures)
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
    # A JSON string is a YAML one; the tag keeps Ansible from taking a path for a template.
    variables = f"gnoppix_root: !unsafe {json.dumps(str(root.resolve()))}\n"
    ending = _run(
        _Play(
            tree=tree,
            added={f"inventory/host_vars/{HOST}.yml": variables},
            playbook=IMAGE_PLAYBOOK,
            log=log,
            artifacts=artifacts,
            options=PlayOptions(),
            environment={"SOURCE_DATE_EPOCH": str(epoch)},
            listener=Listener(on_task),
            timeout_s=timeout_s,
        )
    )
    if ending.failures:
        raise TaskFault(ending.failures[0], log)
    return ApplyResult(changed=sum(ending.changed.values()), ok=sum(ending.ok.values()))


def provision(
    tree: Path,
    inventory: Mapping[str, Mapping[str, object]],
    *,
    log: Path,
    artifacts: Path,
    options: PlayOptions,
    listener: Listener,
    agent: str | None,
    timeout_s: float = 7200.0,
) -> Mapping[str, int]:
    """Bring a tree rendered for machines to them; gives host -> how many tasks changed something.

    `inventory` maps a host to the variables by which Ansible reaches it; `agent` is the socket of
    the caller's ssh-agent. Raises HostsFault when a task fails on a host, else what `apply` raises.
    """
    # JSON is YAML, and these are no texts of a profile.
    hosts = json.dumps({"all": {"hosts": inventory}}, indent=1)
    environment = {
        # Each task comes by a connection of its own, and nobody is asked for anything.
        "ANSIBLE_SSH_ARGS": " ".join(SSH_ARGUMENTS),
        **({"SSH_AUTH_SOCK": agent} if agent else {}),
    }
    ending = _run(
        _Play(
            tree=tree,
            added={"inventory/hosts.yml": hosts},
            playbook=MACHINE_PLAYBOOK,
            log=log,
            artifacts=artifacts,
            options=options,
            environment=environment,
            listener=listener,
            timeout_s=timeout_s,
            changes_this_system=any(
                each.get("ansible_connection") == "local" for each in inventory.values()
            ),
        )
    )
    if ending.failures:
        lost = {failure.host for failure in ending.failures}
        well = [host for host in inventory if host in ending.ok and host not in lost]
        changed = {host: ending.changed.get(host, 0) for host in well}
        raise HostsFault(ending.failures, changed, log)
    return {host: ending.changed.get(host, 0) for host in inventory}


def _run(play: _Play) -> _Ending:
    """Play a playbook to its end."""
    play.log.parent.mkdir(parents=True, exist_ok=True)
    play.artifacts.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=play.artifacts) as name:
        scratch = Path(name)
        run_dir = _copy_tree(play.tree, play.added, scratch / "run")
        try:
            with _started(run_dir, scratch, play) as lines:
                return _follow(lines, play)
        finally:
            _keep_artifacts(run_dir / "artifacts", play.artifacts)


def _copy_tree(tree: Path, added: Mapping[str, str], run_dir: Path) -> Path:
    """Copy the tree, for the runner writes into it, and add files."""
    shutil.copytree(tree, run_dir, symlinks=True)
    for path, text in added.items():
        place = run_dir / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return run_dir


@contextmanager
def _started(run_dir: Path, scratch: Path, play: _Play) -> Iterator[Iterator[str]]:
    """Run the child; when it ends, so does all that it started."""
    places = (str(run_dir), play.playbook, str(play.log))
    command = leashed(
        (sys.executable, "-I", str(CHILD), *places, json.dumps(play.options.of_runner())),
        sees_all_processes=play.changes_this_system,
    )
    with play.log.open("ab") as output:
        child = subprocess.Popen(
            command,
            # The runner writes it down: artifacts/IDENT/command of ansible-runner 2.4.
            env={**clean_environment(scratch), **play.environment},
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
            umask=0o022,
            text=True,
            encoding="utf-8",
        )
    overtime = threading.Timer(play.timeout_s, child.kill)
    overtime.start()
    try:
        assert child.stdout is not None
        yield iter(child.stdout)
    finally:
        overtime.cancel()
        child.kill()
        child.wait()
        end_leftovers(scratch)
        assert child.stdout is not None
        child.stdout.close()


def end_leftovers(scratch: Path) -> None:
    """End what outlived the child, which a PID namespace has seen to: it has our `HOME`."""
    mark = f"HOME={scratch}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


def clean_environment(scratch: Path) -> dict[str, str]:
    """Give an environment for Ansible in which nothing of the caller's is; makes its settings."""
    (scratch / CONFIGURATION).touch()
    return {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), SEARCH_PATH)),
        "HOME": str(scratch),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "ANSIBLE_CONFIG": str(scratch / CONFIGURATION),
        "ANSIBLE_HOME": str(scratch / "ansible"),
        "ANSIBLE_INVENTORY_ENABLED": "yaml",
        "ANSIBLE_LOCAL_TEMP": str(scratch / "local"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_REMOTE_TEMP": "/tmp",
    }


def _follow(lines: Iterator[str], play: _Play) -> _Ending:
    """Read the child's report to its end."""
    task = "ansible-playbook"
    failures: dict[str, Failure] = {}
    ending: dict[str, object] = {}
    for line in lines:
        said = json.loads(line)
        if "failure" in said:
            host = said["host"]
            failures.setdefault(host, Failure(host, said["task"], said["place"], said["failure"]))
        elif "change" in said:
            play.listener.on_change(Change(said["host"], said["change"], said["diff"]))
        elif "task" in said:
            task = said["task"]
            play.listener.on_task(task)
        else:
            ending = said
    match ending:
        case {"status": "successful", "changed": dict(changed), "ok": dict(ok)}:
            return _Ending(changed, ok, ())
        case {"changed": dict(changed), "ok": dict(ok), "lost": list(lost)} if lost or failures:
            unknown = Failure("", task, "", "it gives no reason")
            told = (failures.get(host, replace(unknown, host=host)) for host in lost or failures)
            return _Ending(changed, ok, tuple(told))
        case {"status": _}:
            raise TaskFault(Failure("", task, "", _tail(play.log)), play.log)
        case _:
            message = f"it did not end within {play.timeout_s:g} s, or was killed"
            raise TaskFault(Failure("", task, "", message), play.log)


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

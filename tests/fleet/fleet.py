# SPDX-License-Identifier: GPL-3.0-or-later
"""A Buildbot master and its workers on this machine, from the files of contrib/buildbot."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from empty_lock import make_empty_lock

from gnoppix_build.cli import locks, session

PROJECT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
STAND_IN = Path(__file__).with_name("stand_in_build.py")
LOCK = "out/desk/desk.lock"
PATIENCE_S = 90
BUILDS = """
select builds.number, builds.results, workers.name
from builds join workers on workers.id = builds.workerid order by builds.number
"""

T = TypeVar("T")


@dataclass(frozen=True)
class BuildbotBuild:
    """A build as the master's database has it; `result` is None while it runs."""

    number: int
    result: int | None
    worker: str


class Fleet:
    """Builds the profile `desk` with the stand-in for `build-image`, until the block ends.

    `results`: where another fleet has put its results, if not in a new folder.
    """

    def __init__(self, folder: Path, workers: dict[str, str], results: Path | None = None) -> None:
        self.folder = folder
        self.results = results or folder / "results" / "desk"
        self.signals = folder / "signals"
        self._secrets = workers
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._stack = ExitStack()
        self._address = f"127.0.0.1:{find_free_port()}"

    def __enter__(self) -> Self:
        self.signals.mkdir()
        self._write_profile()
        self._make_master()
        self._start("buildbot", "master")
        for name, secret in self._secrets.items():
            self._run("buildbot-worker", "create-worker", name, self._address, name, secret)
            self.start_worker(name)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start_worker(self, name: str) -> None:
        self._workers[name] = self._start("buildbot-worker", name)

    def kill_worker(self, name: str) -> None:
        self._workers[name].kill()
        self._workers[name].wait()

    def send_change(self) -> None:
        """Tell the master of a change, again until it listens."""
        command = (
            *("sendchange", "--master", self._address, "--auth", "change:change-secret"),
            *("--who", "somebody", "--repository", "here", "--branch", "main", "desk.yaml"),
        )
        wait_for(lambda: self._is_done("buildbot", *command), "the master listens")

    def builds(self) -> list[BuildbotBuild]:
        """Read the master's database."""
        with closing(sqlite3.connect(self.folder / "master" / "state.sqlite")) as database:
            return [BuildbotBuild(*row) for row in database.execute(BUILDS)]

    def wait_for_result(self, number: int) -> BuildbotBuild:
        def find() -> BuildbotBuild | None:
            found = [each for each in self.builds() if each.number == number]
            return found[0] if found and found[0].result is not None else None

        return wait_for(find, f"build {number} ends")

    def attempt_of(self, number: int) -> int:
        """Give the attempt that a build claims its folder with."""
        return int((self.folder / "master" / "epoch").read_text()) + number

    def wait_for_one_that(self, deed: str, *known: int) -> int:
        """Wait for a stand-in that `packs` or `verifies` and is not known, and give its process."""
        return wait_for(lambda: next(iter(self.those_that(deed) - set(known)), None), deed)

    def those_that(self, deed: str) -> set[int]:
        return {int(path.name.partition("-")[0]) for path in self.signals.glob(f"*-{deed}")}

    def let_go_on(self, process: int) -> None:
        (self.signals / f"{process}-goes-on").touch()

    def wait_for_end_of(self, process: int) -> str:
        """Wait for a process that is not our child, and give what it said."""
        wait_for(lambda: not Path("/proc", str(process), "exe").exists(), "a process ends")
        return (self.signals / f"{process}-says").read_text()

    def _write_profile(self) -> None:
        """Write a profile, and where `matrix --lock` looks a lock that asks no mirror."""
        profile = self.folder / "desk.yaml"
        profile.write_text("version: 1\nname: desk\nextends: [minimal]\n")
        resolved = session.require_profile(str(profile), ())
        locks.write_lock(make_empty_lock(resolved), self.folder / LOCK)

    def _make_master(self) -> None:
        self._run("buildbot", "create-master", "master")
        master = self.folder / "master"
        shutil.copy(PROJECT / "contrib" / "buildbot" / "master.cfg", master)
        host, port = self._address.split(":")
        fleet = {
            "workers": self._secrets,
            "port": f"tcp:{port}:interface={host}",
            "change-password": "change-secret",
            "folder": str(self.folder),
            "results": str(self.results.parent),
            "build-image": [sys.executable, str(STAND_IN)],
            "verbs": ["build", "verify"],
        }
        (master / "fleet.json").write_text(json.dumps(fleet))
        builds = self._run("build-image", "matrix", "--lock", "--format", "json", "desk.yaml")
        (master / "builds.json").write_text(builds)

    def _start(self, program: str, folder: str) -> "subprocess.Popen[bytes]":
        return self._stack.enter_context(
            running(
                (str(TOOLS / program), "start", "--nodaemon", folder),
                self.folder,
                self._environment(),
            )
        )

    def _run(self, program: str, *arguments: str) -> str:
        done = self._call(program, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _is_done(self, program: str, *arguments: str) -> bool:
        return self._call(program, *arguments).returncode == 0

    def _call(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            (TOOLS / program, *arguments),
            cwd=self.folder,
            env=self._environment(),
            check=False,
            capture_output=True,
            text=True,
        )

    def _environment(self) -> dict[str, str]:
        path = f"{PROJECT}:{os.environ.get('PYTHONPATH', '')}"
        return {**os.environ, "PYTHONPATH": path, "STAND_IN_SIGNALS": str(self.signals)}


@contextmanager
def running(
    command: tuple[str, ...], folder: Path, environment: dict[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program, its talk in `NAME.log`, and end it with the block."""
    with (folder / f"{command[-1]}.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def wait_for(find: Callable[[], T | None], what: str) -> T:
    """Ask again until there is an answer that counts as true."""
    end = time.monotonic() + PATIENCE_S
    while not (found := find()):
        assert time.monotonic() < end, f"in {PATIENCE_S} s it did not come about that {what}"
        time.sleep(0.1)
    return found

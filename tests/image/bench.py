# SPDX-License-Identifier: GPL-3.0-or-later
"""A place for real builds, and what is known of a finished one."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from gnoppix_build.effects.results import sha256_of

PROJECT = Path(__file__).parents[2]
BUDGETS_S = {"cold build": 300, "verification": 600}


@dataclass(frozen=True)
class Command:
    """What a run of the command said."""

    status: int
    output: str
    talk: str


@dataclass(frozen=True)
class Bench:
    """A place to build in: a cache of its own and a folder for results."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "GNOPPIX_BUILD_CACHE": str(self.folder / "cache")}

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "gnoppix_build", *(str(each) for each in arguments)]

    def run(self, *arguments: str | Path, cwd: Path = PROJECT) -> Command:
        done = subprocess.run(
            self.command(*arguments),
            check=False,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
        )
        return Command(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Built:
    """A finished build."""

    bench: Bench
    result: Path
    talk: str

    @property
    def iso(self) -> Path:
        return self.result / "minimal.iso"

    @property
    def digest(self) -> str:
        return sha256_of(self.iso)


TIMES: list[str] = []
"""What the slow parts took, for the summary of the run."""


def tell_time(what: str, start: float) -> None:
    """Note what a slow part took, and what it may take."""
    seconds = time.monotonic() - start
    TIMES.append(f"{what}: {seconds:.0f} s of a budget of {BUDGETS_S[what]} s")

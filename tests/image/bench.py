# SPDX-License-Identifier: GPL-3.0-or-later
"""A place for real builds, and what is known of finished ones."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checker_tool import install_checker

from gnoppix_build.effects.apt import PROXY_VARIABLES
from gnoppix_build.effects.results import sha256_of

PROJECT = Path(__file__).parents[2]
EVERYTHING = PROJECT / "tests" / "profiles" / "everything.yaml"
FURTHER = tuple(sorted(path for path in EVERYTHING.parent.glob("*.yaml") if path != EVERYTHING))
"""Profiles with options that no shipped one has; built and booted in a run of all."""
WANTED_PROFILES = "GNOPPIX_BUILD_TEST_PROFILES"
BUDGETS_S = {"cold build": 480, "build": 420, "verification": 1200}


def proxies_of_host() -> dict[str, str]:
    """Give what leads a program without this run's environment to the archive."""
    return {name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ}


def wants_all_profiles() -> bool:
    """Tell whether the run is to build and boot every shipped profile."""
    return os.environ.get(WANTED_PROFILES) == "all"


# Why a check is skipped that has no object in a profile, or none before a person has brought a key.
# Any other reason says that something was not looked at, which proves nothing.
NOT_ASKED_FOR = frozenset(
    (
        "a card gets its address when somebody agrees to the network",
        "no component has a service",
        "no component of the profile promises anything of a machine without a network card",
        "no model has a port of this computer",
        "no tunnel has come up that could be lost",
        "nobody has agreed to the network yet",
        "the cards are beneath a tunnel",
        "the profile asks for no graphics processor",
        "the profile does not ask for consent",
        "the profile has IPv6",
        "the profile has no IPv6",
        "the profile has no programs with windows",
        "the profile has no tunnel",
        "the source is not NTS",
        "the source is not Tor",
        "the system was given no login",
        "there is no remote model",
        "this mode has no resolver of its own",
        "this mode has no such package",
        "tor needs nobody's consent here",
    )
)


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
        """Give the caller's environment with an own store, and a program that a check needs."""
        tools = self.folder / "checker"
        tools.mkdir(exist_ok=True)
        return {
            **os.environ,
            "GNOPPIX_BUILD_CACHE": str(self.folder / "cache"),
            "PATH": f"{install_checker(tools)}{os.pathsep}{os.environ['PATH']}",
        }

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "gnoppix_build", *(str(each) for each in arguments)]

    def run(self, *arguments: str | Path) -> Command:
        done = subprocess.run(
            self.command(*arguments),
            check=False,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
        )
        return Command(done.returncode, done.stdout, done.stderr)

    def build(self, profile: str | Path, result: Path, *, cold: bool = False) -> "Built":
        """Build a profile, given by its name or path; what it took is told."""
        name = Path(profile).stem
        with told("cold build" if cold else "build", name):
            done = self.run("build", profile, "-o", result)
        assert done.status == 0, done.talk
        return Built(self, profile, result, done.talk)


@dataclass(frozen=True)
class Built:
    """A finished build."""

    bench: Bench
    profile: str | Path
    result: Path
    talk: str

    @property
    def name(self) -> str:
        return Path(self.profile).stem

    @property
    def iso(self) -> Path:
        return self.result / f"{self.name}.iso"

    @property
    def digest(self) -> str:
        return sha256_of(self.iso)

    def steps(self, state: str) -> list[str]:
        """Name the steps that the last build made, or kept."""
        report = json.loads((self.result / f"{self.name}.build.json").read_text())
        return [step["step"] for step in report["steps"] if step["state"] == state]

    def verify(self, *tiers: str) -> "Verified":
        """Run these tiers on the image, or all; what it took is told."""
        chosen = [word for tier in tiers for word in ("--tier", tier)]
        with told("verification", self.name):
            done = self.bench.run(
                *("verify", self.profile, "-o", self.result, "--format", "json", *chosen)
            )
        assert done.output, done.talk
        return Verified(self, done, tuple(json.loads(done.output)["findings"]))


@dataclass(frozen=True)
class Verified:
    """An image after all its checks."""

    built: Built
    command: Command
    findings: tuple[dict[str, Any], ...]

    @property
    def faults(self) -> list[str]:
        """Tell every check that did not pass, unless its object is none of the profile's."""
        return [
            "{outcome}: {component} {tier} {check}: {evidence}".format_map(finding)
            for finding in self.findings
            if finding["outcome"] != "pass" and finding["evidence"] not in NOT_ASKED_FOR
        ]

    @property
    def checked(self) -> set[tuple[str, str]]:
        """Give the components that were checked, by tier."""
        return {(finding["component"], finding["tier"]) for finding in self.findings}


TIMES: list[str] = []
"""What the slow parts took, for the summary of the run."""


@contextmanager
def told(what: str, name: str) -> Iterator[None]:
    """Note what a slow part took, and what it may take."""
    start = time.monotonic()
    yield
    seconds = time.monotonic() - start
    TIMES.append(f"{what} of {name}: {seconds:.0f} s of a budget of {BUDGETS_S[what]} s")

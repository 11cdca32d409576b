# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image` with its real verbs, but a workshop whose image takes as long as is wanted.

It says in the folder of STAND_IN_SIGNALS that it packs the image, and goes on when it may. `verify`
finds that all is well, after as long as is wanted there if `holds-verify` is there.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gnoppix_build import cli
from gnoppix_build.cli import build as building
from gnoppix_build.cli import verify as verifying
from gnoppix_build.plan.steps import Fetch, PackOutput, Step
from gnoppix_build.report.finding import WHOLE_IMAGE, Finding
from gnoppix_build.resolve.model import Resolved

SIGNALS = Path(os.environ["STAND_IN_SIGNALS"])
PR_SET_PDEATHSIG = 1
PATIENCE_S = 120


class SlowWorkshop:
    """Makes empty layers, and an image that names the process that packed it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, step: Step) -> None:
        del step

    def why_missing(self, step: Step) -> str:
        del step
        return "a stand-in keeps nothing"

    def fetch(self, step: Step, action: Fetch) -> None:
        del step, action

    @contextmanager
    def tree(self, step: Step, action: object) -> Iterator[Path]:
        del step, action
        yield self._folder

    def pack_layer(self, step: Step, action: object, tree: Path) -> Path:
        del step, action
        return tree

    def make_initrd(self, step: Step, action: object) -> Path:
        del step, action
        return self._folder

    def pack_output(self, step: Step, action: PackOutput) -> Path:
        del step, action
        wait_for_leave("packs")
        image = self._folder / "image"
        image.write_text(f"packed by {os.getpid()}\n")
        return image

    def layer(self, name: str) -> Path:
        return self._folder / name

    def logs(self) -> tuple[Path, ...]:
        return ()


def examine_slowly(
    resolved: Resolved, result: Path, *_: object
) -> tuple[list[Finding], Mapping[str, Path]]:
    """Tell what the image is, and who looked at it."""
    image = result / f"{resolved.name}.iso"
    evidence = f"{image.read_text().strip()}, looked at by {os.getpid()}"
    if (SIGNALS / "holds-verify").exists():
        wait_for_leave("verifies")
    finding = Finding("is_an_image", WHOLE_IMAGE, "static", "pass", evidence, 0.0)
    return [finding], {"verify.pcap": image}


def wait_for_leave(deed: str) -> None:
    """Say what this process does, and go on when `PID-goes-on` is there."""
    (SIGNALS / f"{os.getpid()}-{deed}").touch()
    leave = SIGNALS / f"{os.getpid()}-goes-on"
    end = time.monotonic() + PATIENCE_S
    while not leave.exists():
        assert time.monotonic() < end, "nobody let the stand-in go on"
        time.sleep(0.05)


@contextmanager
def open_slow_workshop(*_: object) -> Iterator[SlowWorkshop]:
    folder = SIGNALS / f"{os.getpid()}-works"
    folder.mkdir()
    yield SlowWorkshop(folder)


def slip_the_leash() -> None:
    """Outlive the worker, as a build on a machine that nobody reaches does. Source: prctl(2)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, 0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


if __name__ == "__main__":
    if (SIGNALS / "slips-the-leash").exists():
        slip_the_leash()
    # What it says may have nobody to read it any more.
    talk = (SIGNALS / f"{os.getpid()}-says").open("w")
    os.dup2(talk.fileno(), sys.stderr.fileno())
    building.require_host = lambda: None
    building.open_workshop = open_slow_workshop  # type: ignore[assignment]
    verifying.require_host = building.require_host  # type: ignore[attr-defined]
    verifying.open_workshop = open_slow_workshop  # type: ignore[attr-defined, assignment]
    verifying.examine_image = examine_slowly  # type: ignore[assignment]
    cli.main()

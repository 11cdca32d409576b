# SPDX-License-Identifier: GPL-3.0-or-later
"""Attempts: of several builds of one result folder, only the last that claimed it may fill it.

A worker that is thought to be dead may still run, and end after the build that replaced it. So a
build claims its folder when it starts, and puts its results there only while the claim stands.
Source: Kleppmann, "How to do distributed locking" (2016), on fencing tokens.
"""

import fcntl
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from gnoppix_build.effects.faults import BusyFault


class SupersededFault(BusyFault):
    """A newer attempt has the result folder."""

    code = "superseded"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to fill a folder; `token` tells apart two attempts of the same number."""

    attempt: int
    token: str


def claim_folder(folder: Path, attempt: int | None) -> Claim:
    """Take the folder from earlier attempts; without a number it is the next one.

    Raises SupersededFault when an attempt with a higher number has it.
    """
    with _claims_on(folder) as file:
        last = _read(file)
        number = last.attempt + 1 if attempt is None else attempt
        if number < last.attempt:
            raise SupersededFault(
                f"attempt {number} is over: attempt {last.attempt} has `{folder}`",
                hint="start a new attempt",
            )
        claim = Claim(number, secrets.token_hex(16))
        file.seek(0)
        file.truncate()
        json.dump(asdict(claim), file)
    return claim


@contextmanager
def standing(folder: Path, claim: Claim) -> Iterator[None]:
    """Hold the folder for as long as the block lasts; raises SupersededFault if it was taken."""
    with _claims_on(folder) as file:
        last = _read(file)
        if last != claim:
            raise SupersededFault(
                f"attempt {last.attempt} took `{folder}` over while this one, "
                f"attempt {claim.attempt}, was running; nothing was put there",
                hint="use what that attempt makes",
            )
        yield


@contextmanager
def undisturbed(folder: Path) -> Iterator[None]:
    """Hold the folder without a claim: nobody's results come into it while the block lasts."""
    with _claims_on(folder):
        yield


@contextmanager
def _claims_on(folder: Path) -> Iterator[TextIO]:
    """Open the file of claims, beside the folder, while no other process has it open."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.attempt").open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        yield file


def _read(file: TextIO) -> Claim:
    """Read the last claim; a file that a killed process left empty counts as none."""
    text = file.read()
    return Claim(**json.loads(text)) if text else Claim(0, "")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress for people: a line a step, on standard error."""

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from gnoppix_build.app.build import Outcome
from gnoppix_build.catalog.model import spell_size
from gnoppix_build.effects.faults import CommandFault
from gnoppix_build.plan.steps import Step
from gnoppix_build.report.finding import Finding

SHOWN = 160
LOG_LINES = 8
SECONDS_BETWEEN_LINES = 5.0


class LineProgress:
    """Prints each step as it ends; a failed one with why it ran and where its log is."""

    def __init__(self) -> None:
        self._outcomes: list[Outcome] = []

    @contextmanager
    def running(self, step: Step, why: str) -> Iterator[None]:
        """Tell that a step runs, and how it ended."""
        start = time.monotonic()
        try:
            yield
        except CommandFault as fault:
            click.echo(f"{step.id}: failed after {time.monotonic() - start:.1f} s", err=True)
            click.echo(f"  = note: it ran because: {why}", err=True)
            click.echo(f"  = note: command: {_shorten(shlex.join(fault.argv))}", err=True)
            for line in _last_lines(fault.log):
                click.echo(f"  | {line}", err=True)
            click.echo(f"  = note: the whole log: {fault.log}", err=True)
            raise
        seconds = time.monotonic() - start
        self._outcomes.append(Outcome(step.id, "made", why, round(seconds, 3)))
        click.echo(f"{step.id:<20} {seconds:6.1f} s  {_shorten(why)}", err=True)

    def kept(self, step: Step) -> None:
        """Tell that the store has what the step would make."""
        self._outcomes.append(Outcome(step.id, "kept", "the store has it", 0.0))
        click.echo(f"{step.id:<20}     kept  the store has it", err=True)

    def outcomes(self) -> tuple[Outcome, ...]:
        """Give what was told so far."""
        return tuple(self._outcomes)


class ByteProgress:
    """Prints a line every few seconds while a large file arrives."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def tell(self, step: str, arrived: int, total: int) -> None:
        """Tell how many bytes of a file are there."""
        if (now := time.monotonic()) - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            share = 100 * arrived // total
            sizes = f"{spell_size(arrived)} of {spell_size(total)}"
            click.echo(f"{step:<20} {share:5} %  {sizes}", err=True)


class CheckProgress:
    """Prints a check that failed at once, and every few seconds how many there were."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._done = 0

    def tell(self, finding: Finding) -> None:
        """Tell what a check found."""
        self._done += 1
        name = f"{finding.component} {finding.check}"
        if finding.outcome == "fail":
            click.echo(f"{name}: failed: {_shorten(_first_line(finding.evidence))}", err=True)
        elif (now := time.monotonic()) - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            click.echo(f"{self._done} checks so far, the last one: {name}", err=True)


def _first_line(text: str) -> str:
    return "".join(char for char in text.partition("\n")[0] if char.isprintable())


def _shorten(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _last_lines(log: Path) -> list[str]:
    """Give the end of a log; what a terminal would obey is taken out."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = text.splitlines()[-LOG_LINES:]
    return [_shorten("".join(char for char in line if char.isprintable())) for line in lines]


@contextmanager
def timed(what: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Tell how long a phase took."""
    start = time.monotonic()
    yield
    tell(f"{what:<20} {time.monotonic() - start:6.1f} s")

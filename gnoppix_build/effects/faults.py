# SPDX-License-Identifier: GPL-3.0-or-later
"""The world's failures: exceptions under one base class, each with its exit code."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from gnoppix_build.diagnostics import Diagnostic


class Fault(Exception):
    """Something outside the program went wrong; carries what a person needs to mend it."""

    exit_code = 4
    code = "environment"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class EnvironmentFault(Fault):
    """A tool, a privilege or space is missing on this host."""


class CommandFault(Fault):
    """An external command ended with an error."""

    exit_code = 5
    code = "step"

    def __init__(
        self, argv: Sequence[str], status: int, log: Path, *, hint: str | None = None
    ) -> None:
        super().__init__(f"`{argv[0]}` ended with status {status}", hint=hint)
        self.argv = tuple(argv)
        self.status = status
        self.log = log


class MirrorFault(Fault):
    """The network or the mirror did not give what the lock or apt asked for."""

    exit_code = 6
    code = "mirror"


class DigestFault(Fault):
    """Bytes do not have the hash that was promised."""

    exit_code = 7
    code = "digest"


class MistakeFault(Fault):
    """What came from outside shows a mistake in a file; `sources` maps file names to texts."""

    exit_code = 3
    code = "profile"

    def __init__(self, diagnostics: Sequence[Diagnostic], sources: Mapping[str, str]) -> None:
        super().__init__(diagnostics[0].message)
        self.diagnostics = tuple(diagnostics)
        self.sources = sources


class BusyFault(Fault):
    """Another build holds the lock."""

    exit_code = 8
    code = "busy"

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a target with a root shell offers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class CommandOutcome:
    """How a command ended, with both its streams in full."""

    status: int
    stdout: bytes
    stderr: bytes


class Shell(Protocol):
    """A root shell of a running system."""

    def run(self, command: str) -> CommandOutcome:
        """Run one shell command to its end."""
        ...


class Recorder(Protocol):
    """A record of every frame of a network card, in order."""

    def frames(self) -> Iterator[bytes]:
        """Give the Ethernet frames recorded so far."""
        ...

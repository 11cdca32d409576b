# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine of a test, as whoever gives it commands sees it."""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence

Ended = subprocess.CompletedProcess[str]


class Commanded(ABC):
    """A machine that runs commands as root, whichever way they get there."""

    @abstractmethod
    def try_run(self, *argv: str, stdin: bytes = b"") -> Ended:
        """Run a command, and give what became of it."""

    @abstractmethod
    def restart(self) -> None:
        """Start the machine anew with what it has written."""

    def run(self, *argv: str, stdin: bytes = b"") -> str:
        """Run a command to its good end, and give what it printed."""
        done = self.try_run(*argv, stdin=stdin)
        assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr or done.stdout}"
        return done.stdout


def in_text(argv: Sequence[str], done: "subprocess.CompletedProcess[bytes]") -> Ended:
    """Give what became of a command under the name that it has on the machine."""
    return Ended([*argv], done.returncode, done.stdout.decode(), done.stderr.decode())

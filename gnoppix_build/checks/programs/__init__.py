# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that checks run inside their target; each needs nothing but Python's own library."""

import shlex
from pathlib import Path

_FOLDER = Path(__file__).parent


def command_of(program: str, *arguments: str) -> str:
    """Give the shell command that runs a program of this folder: all of it is in the command."""
    return shlex.join(("python3", "-c", source_of(program), *arguments))


def source_of(program: str) -> str:
    """Give the text of a program of this folder, for a check that has to put it somewhere."""
    return (_FOLDER / f"{program}.py").read_text(encoding="utf-8")

# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of its own: become a command inside a tools tree, with folders bound into it.

It expects to start in a mount namespace of its own, and it replaces itself, so that signals
and the parent's death reach the command.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

MEETING_POINT = "mnt"


def place_in_tools(name: str) -> str:
    """Say where a thing bound as `name` appears inside the tools tree."""
    return f"/{MEETING_POINT}/{name}"


def enter_tools(tools: Path, bindings: Sequence[tuple[Path, str]], argv: Sequence[str]) -> None:
    """Bind each (source, name) under /mnt of the tree and run the command in it."""
    meeting_point = tools / MEETING_POINT
    _mount("--types", "tmpfs", "--options", "mode=0755", "tmpfs", str(meeting_point))
    _mount("--rbind", "/dev", str(tools / "dev"))
    for source, name in bindings:
        inside = meeting_point / name
        if source.is_dir():
            inside.mkdir()
        else:
            inside.touch()
        _mount("--bind", str(source), str(inside))
    os.chroot(tools)
    os.chdir("/")
    os.execvp(argv[0], list(argv))  # noqa: S606 - no shell is wanted


def _mount(*arguments: str) -> None:
    subprocess.run(("mount", *arguments), check=True)  # noqa: S607 - PATH is our own


def main(arguments: Sequence[str]) -> None:
    """Read TOOLS [NAME=SOURCE ...] -- COMMAND ... and enter."""
    split = arguments.index("--")
    tools, *bindings = arguments[:split]
    named = [binding.partition("=") for binding in bindings]
    enter_tools(
        Path(tools),
        [(Path(source), name) for name, _, source in named],
        arguments[split + 1 :],
    )


if __name__ == "__main__":
    main(sys.argv[1:])

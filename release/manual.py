# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the man pages into a folder: of the command and its verbs, and of the formats."""

import sys
from pathlib import Path

from command_pages import command_pages
from format_pages import format_pages


def write_manual(folder: Path) -> None:
    """Write every page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (*command_pages(), *format_pages()):
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_manual(Path(sys.argv[1]))

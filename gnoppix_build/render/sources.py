# SPDX-License-Identifier: GPL-3.0-or-later
"""The port through which rendering reads a component's folder."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, order=True)
class SourceFile:
    """A file of a component; `path` is relative to the folder that was asked for, with `/`."""

    path: str
    content: bytes
    is_executable: bool


class ComponentReader(Protocol):
    """Reads the folders of components."""

    def files_below(self, folder: Path) -> Iterable[SourceFile]:
        """Give the ordinary files in a folder and below it; none if it is not there."""
        ...

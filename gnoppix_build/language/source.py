# SPDX-License-Identifier: GPL-3.0-or-later
"""The port through which the pure layers read files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from gnoppix_build.diagnostics import Diagnostic, Span
from gnoppix_build.language.node import Document
from gnoppix_build.language.parse import parse

PACKAGE_FOLDER: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a file cannot be read, as the end of the sentence "`FILE` ..."."""

    reason: str
    is_missing: bool = False


class SourceReader(Protocol):
    """Reads source files beneath the folders that it was given."""

    def read(self, path: Path) -> bytes | Unreadable:
        """Read a file; of one that is too large, only so much that `parse` sees it is."""

    def folders(self, path: Path) -> tuple[str, ...]:
        """List the names of the folders in a folder, sorted; none if it is not there."""

    def files(self, path: Path) -> tuple[str, ...]:
        """List the names of the files in a folder, sorted; none if it is not there."""


def source_name(path: Path) -> str:
    """Name a file the way messages show it: short if it belongs to this program."""
    home = PACKAGE_FOLDER.parent
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)


def read_document(path: Path, reader: SourceReader, *, asked: Span | None = None) -> Document:
    """Read and parse a file; `asked` is the place that names it, if a file does."""
    name = source_name(path)
    content = reader.read(path)
    if isinstance(content, Unreadable):
        code = "file-missing" if content.is_missing else "file-unreadable"
        place = asked or Span(name, 1, 1, 1, 1)
        return Document(name, "", None, (Diagnostic(code, f"`{name}` {content.reason}", place),))
    return parse(content, name)

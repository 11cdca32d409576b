# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading profiles and components: beneath given folders, ordinary files only, a bounded size."""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gnoppix_build.language.parse import BYTE_LIMIT
from gnoppix_build.language.source import Unreadable
from gnoppix_build.render.sources import SourceFile

_IGNORED_FOLDERS = ("__pycache__",)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class SourceFolders:
    """Reads files beneath the folders; below them no link is followed."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(sorted(roots, key=lambda root: len(root.parts), reverse=True))

    def read(self, path: Path) -> bytes | Unreadable:
        """Read at most one byte more than a source may have."""
        opened = self._open(path, _FILE)
        if isinstance(opened, Unreadable):
            return opened
        with os.fdopen(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return Unreadable("is not an ordinary file")
            return file.read(BYTE_LIMIT + 1)

    def folders(self, path: Path) -> tuple[str, ...]:
        """List the folders in a folder."""
        return self._list(path, stat.S_ISDIR)

    def files(self, path: Path) -> tuple[str, ...]:
        """List the files in a folder."""
        return self._list(path, stat.S_ISREG)

    def files_below(self, folder: Path) -> Iterator[SourceFile]:
        """Give the ordinary files in a folder and below it, sorted; none if it is not there."""
        yield from self._files_below(folder, "")

    def _files_below(self, folder: Path, prefix: str) -> Iterator[SourceFile]:
        for name in self.files(folder):
            opened = self._open(folder / name, _FILE)
            if isinstance(opened, Unreadable):
                continue
            with os.fdopen(opened, "rb") as file:
                is_executable = bool(os.fstat(file.fileno()).st_mode & stat.S_IXUSR)
                yield SourceFile(f"{prefix}{name}", file.read(), is_executable)
        for name in self.folders(folder):
            if name not in _IGNORED_FOLDERS:
                yield from self._files_below(folder / name, f"{prefix}{name}/")

    def _list(self, path: Path, is_wanted: Callable[[int], bool]) -> tuple[str, ...]:
        opened = self._open(path, _FOLDER)
        if isinstance(opened, Unreadable):
            return ()
        try:
            return tuple(
                name
                for name in sorted(os.listdir(opened))  # noqa: PTH208 - a descriptor, not a path
                if is_wanted(os.stat(name, dir_fd=opened, follow_symlinks=False).st_mode)
            )
        finally:
            os.close(opened)

    def _open(self, path: Path, flags: int) -> int | Unreadable:
        root = next((root for root in self._roots if path.is_relative_to(root)), None)
        if root is None:
            return Unreadable("lies outside the folders that may be read")
        parts = path.relative_to(root).parts
        if ".." in parts:
            return Unreadable("lies outside the folders that may be read")
        try:
            return _open_beneath(root, parts, flags)
        except OSError as error:
            match error.errno:
                case errno.ENOENT:
                    return Unreadable("does not exist", is_missing=True)
                case errno.ELOOP | errno.ENOTDIR:
                    return Unreadable("is, or lies behind, a link or an ordinary file")
                case _:
                    return Unreadable(f"cannot be read: {error.strerror}")


def _open_beneath(root: Path, parts: tuple[str, ...], flags: int) -> int:
    folder = os.open(root, _FOLDER)
    if not parts:
        return folder
    for part in parts[:-1]:
        try:
            below = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            os.close(folder)
        folder = below
    try:
        return os.open(parts[-1], flags | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)

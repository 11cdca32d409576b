# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of an image resolved beneath its root, as the booted system would see them."""

import errno
import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gnoppix_build.checks.visibility import NotVisible

MOST_LINKS = 40
# Filled when the system runs; in a tree they are empty and would answer "there is none".
RUNTIME_FOLDERS = ("/proc", "/sys", "/dev", "/run")


@dataclass(frozen=True)
class TreePaths:
    """The paths of a tree; a link never leads out of it.

    Source: path_resolution(7), with the root of openat2(2)'s RESOLVE_IN_ROOT.
    """

    root: Path

    def resolve(self, path: str, *, follow_last: bool = True) -> PurePosixPath:
        """Give the path in the image without links (the last part may be missing).

        Raises NotVisible for what only a running system has and OSError for a loop of links.
        """
        resolved = self.trace(path, follow_last=follow_last)
        for folder in RUNTIME_FOLDERS:
            if resolved.is_relative_to(folder) and str(resolved) != folder:
                raise NotVisible(f"`{resolved}` is there only in a running system")
        return resolved

    def trace(self, path: str, *, follow_last: bool = True) -> PurePosixPath:
        """Resolve by the links alone, into folders of a running system too."""
        pending = list(reversed(PurePosixPath(path).parts))
        resolved = PurePosixPath("/")
        links = 0
        while pending:
            part = pending.pop()
            if part in ("/", "//"):
                resolved = PurePosixPath("/")
                continue
            if part == "..":
                resolved = resolved.parent
                continue
            candidate = resolved / part
            host_path = self.on_host(candidate)
            if (pending or follow_last) and host_path.is_symlink():
                links += 1
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                pending += reversed(host_path.readlink().parts)
            else:
                resolved = candidate
        return resolved

    def on_host(self, resolved: PurePosixPath) -> Path:
        """Say where a resolved path of the image lies on this host."""
        return self.root / resolved.relative_to("/")

    def find(self, pattern: str) -> list[str]:
        """Give the paths that match; `**` is any number of folders, links are not followed."""
        parts = PurePosixPath(pattern).parts[1:]
        fixed = 0
        while fixed < len(parts) and not _is_wild(parts[fixed]):
            fixed += 1
        start = "/" + "/".join(parts[:fixed])
        if fixed == len(parts):
            found = self.on_host(self.resolve(start, follow_last=False))
            return [start] if os.path.lexists(found) else []
        folder = self.on_host(self.resolve(start))
        return sorted(set(_find_below(folder, start.rstrip("/"), parts[fixed:])))


def _is_wild(part: str) -> bool:
    return any(character in part for character in "*?[")


def _find_below(folder: Path, shown: str, parts: tuple[str, ...]) -> Iterator[str]:
    if not folder.is_dir() or folder.is_symlink():
        return
    first, rest = parts[0], parts[1:]
    if first == "**" and rest:
        yield from _find_below(folder, shown, rest)
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = f"{shown}/{entry.name}"
        if first == "**":
            yield from _find_below(Path(entry.path), path, parts)
        if (first == "**" or fnmatch.fnmatchcase(entry.name, first)) and not rest:
            yield path
        elif rest and first != "**" and fnmatch.fnmatchcase(entry.name, first):
            yield from _find_below(Path(entry.path), path, rest)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking through a layer for what gives the build host away."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

DPKG = "var/lib/dpkg"
# Copied by dpkg from the .debs' control parts.
CONTROL_FILES = re.compile(rf"{DPKG}/(info/.*|status|available)")
CONFFILE = re.compile(r"^ /(?P<path>\S+) (?P<md5>[0-9a-f]{32})", re.MULTILINE)


def find_traces(tree: Path, needles: Sequence[bytes], after: bytes = b"") -> list[str]:
    """Name the files of a layer, by path in the image, that hold a needle as a word of its own.

    Names and links are looked at too. What dpkg unpacked and nobody changed is left out: a host
    called `debian` is no trace in a manual page. `after` is a pattern for what follows a needle.
    """
    words = [re.escape(needle) for needle in needles if needle]
    if not words:
        return []
    pattern = re.compile(rb"(?<![\w-])(?:" + b"|".join(words) + rb")(?![\w-])" + after)
    unpacked = _unpacked_files(tree)
    return sorted(
        f"/{path.relative_to(tree)}"
        for path in walk(tree)
        if _holds(path, pattern) and not _is_unpacked(path, tree, unpacked)
    )


def walk(folder: Path) -> Iterator[Path]:
    """Give everything below a folder, each folder after what is in it; links are not followed."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from walk(path)
        yield path


def _holds(path: Path, pattern: re.Pattern[bytes]) -> bool:
    if pattern.search(os.fsencode(path.name)):
        return True
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return pattern.search(os.fsencode(path.readlink())) is not None
    return stat.S_ISREG(mode) and pattern.search(path.read_bytes()) is not None


def _unpacked_files(tree: Path) -> dict[str, set[str]]:
    """Give what the packages of this layer shipped: path -> md5 sums."""
    shipped: dict[str, set[str]] = {}
    for sums in (tree / DPKG / "info").glob("*.md5sums"):
        for line in sums.read_text().splitlines():
            md5, _, path = line.partition("  ")
            shipped.setdefault(path, set()).add(md5)
    status = tree / DPKG / "status"
    if status.is_file():
        for match in CONFFILE.finditer(status.read_text()):
            shipped.setdefault(match["path"], set()).add(match["md5"])
    return shipped


def _is_unpacked(path: Path, tree: Path, shipped: dict[str, set[str]]) -> bool:
    name = str(path.relative_to(tree))
    if CONTROL_FILES.fullmatch(name):
        return True
    sums = shipped.get(name)
    if sums is None or not stat.S_ISREG(path.lstat().st_mode):
        return False
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() in sums

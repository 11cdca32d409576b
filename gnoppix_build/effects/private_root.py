# SPDX-License-Identifier: GPL-3.0-or-later
"""Private roots: the few files of .debs that a program needs, taken out and never run here."""

import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from gnoppix_build.catalog.private_root import PrivateRoot
from gnoppix_build.effects.faults import Fault
from gnoppix_build.effects.layers import clamp_times
from gnoppix_build.effects.process import isolated, run
from gnoppix_build.effects.stand_in import functions_wanted, needed_libraries, write_stand_in
from gnoppix_build.effects.traces import walk

# What systemd mounts something on when it makes this the root of a unit. Source: systemd.exec(5).
MOUNT_POINTS = ("dev", "etc", "proc", "run", "sys", "tmp", "var/tmp")
LIBRARY_FOLDER = "usr/lib/x86_64-linux-gnu"


class PrivateRootFault(Fault):
    """The packages of a private root do not hold what it keeps, or what that needs."""

    exit_code = 5
    code = "private-root"


def unpack(
    archives: Sequence[Path], root: PrivateRoot, target: Path, tools: Path, epoch: int, log: Path
) -> None:
    """Make the tree of a private root from its .debs, with the mounted tools tree's dpkg-deb.

    Raises PrivateRootFault when a path that it keeps is in no package, and when a program in it
    needs a library that is not there.
    """
    target.mkdir(parents=True)
    for archive in archives:
        argv = ("dpkg-deb", "--extract", "/mnt/archive", "/mnt/target")
        bindings = {"archive": archive, "target": target}
        run(isolated(argv, root=tools, bindings=bindings, tmpfs=("/tmp",)), log=log)
    _leave(target, root.keeps)
    for name in (*MOUNT_POINTS, *(mount.lstrip("/") for mount in root.mounts)):
        (target / name).mkdir(parents=True, exist_ok=True)
    target.chmod(0o755)
    _put_stand_ins(target, root)
    _check_libraries(target)
    clamp_times(target, epoch)


def _leave(target: Path, keeps: Sequence[str]) -> None:
    """Remove what no pattern names, and the folders that are empty then."""
    patterns = {kept: re.compile(re.escape(kept).replace(r"\*", "[^/]*")) for kept in keeps}
    found: set[str] = set()
    for path in list(walk(target)):
        name = f"/{path.relative_to(target)}"
        if stat.S_ISDIR(path.lstat().st_mode):
            if not any(path.iterdir()):
                path.rmdir()
            continue
        matching = {kept for kept, pattern in patterns.items() if pattern.fullmatch(name)}
        found |= matching
        if not matching:
            path.unlink()
    for kept in keeps:
        if kept not in found:
            raise PrivateRootFault(
                f"no package of the private root has `{kept}`",
                hint="look at its `keeps` and `packages`: the suite may have moved the file",
            )


def _programs(target: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Give each program and library with what it needs."""
    for path in walk(target):
        if stat.S_ISREG(path.lstat().st_mode) and (needed := needed_libraries(path)):
            yield path, needed


def _put_stand_ins(target: Path, root: PrivateRoot) -> None:
    for library in root.stand_ins:
        users = [path for path, needed in _programs(target) if library in needed]
        content = write_stand_in(library, functions_wanted(users, library))
        place = target / LIBRARY_FOLDER / library
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def _check_libraries(target: Path) -> None:
    there = {path.name for path in walk(target) if not path.is_dir()}
    for path, needed in _programs(target):
        for library in needed:
            if library not in there:
                raise PrivateRootFault(
                    f"`/{path.relative_to(target)}` needs `{library}`, "
                    "which is not in the private root",
                    hint="add it to `keeps`, and its package to `packages`",
                )

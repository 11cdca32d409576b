# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers: a folder is overlaid, cleaned of what differs between builds, and packed."""

import os
import re
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from gnoppix_build.effects.namespaces import mount
from gnoppix_build.effects.process import isolated, run
from gnoppix_build.effects.traces import find_traces, walk

__all__ = [
    "Compression",
    "clamp_times",
    "clean",
    "find_traces",
    "overlay",
    "pack",
    "strip_overlay_attributes",
]

Compression = Literal["development", "release", "stored"]

SECONDS_PER_DAY = 86400
MACHINE_ID = "etc/machine-id"
SHADOW_FILE = "etc/shadow"
# Source: overlayfs(5); `volatile` leaves out the syncs of a layer that is packed anyway.
OVERLAY_OPTIONS = (
    *("redirect_dir=off", "metacopy=off", "index=off", "nfs_export=off", "xino=off"),
    *("uuid=null", "volatile"),
)
MOUNT_ATTRIBUTES = ("trusted.overlay.origin", "trusted.overlay.impure", "trusted.overlay.uuid")
SQUASHFS_OPTIONS = {
    "development": ("-comp", "zstd", "-Xcompression-level", "3", "-b", "128K"),
    "release": ("-comp", "zstd", "-Xcompression-level", "19", "-b", "1M"),
    "stored": ("-noI", "-noD", "-noF", "-noX"),
}
# Emptied: the folder itself belongs to a package.
EMPTIED_FOLDERS = (
    *("run", "tmp", "var/tmp", "var/lib/apt/lists", "var/cache/apt", "var/cache/man"),
    *("var/cache/fontconfig", "var/cache/apparmor", "var/cache/app-info", "var/cache/swcatalog"),
)
DELETED_FILES = (
    *("etc/.pwd.lock", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-"),
    *("etc/subuid-", "etc/subgid-", "etc/adjtime", "etc/mdadm/mdadm.conf"),
    *("etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap"),
    *("etc/ssh/ssh_host_*", "etc/ssl/certs/java/cacerts", "etc/console-setup/cached_*"),
    *("etc/ssl/certs/ssl-cert-snakeoil.pem", "etc/ssl/private/ssl-cert-snakeoil.key"),
    *("usr/share/icons/*/icon-theme.cache", "var/cache/ldconfig/aux-cache"),
    *("var/cache/debconf/*-old", "var/lib/dbus/machine-id", "var/lib/dpkg/*-old"),
    *("var/lib/systemd/catalog/database", "var/lib/systemd/random-seed"),
    *("var/lib/ucf/hashfile.*", "var/lib/ucf/registry.*"),
    "var/lib/systemd/credential.secret",
)


def overlay(lowers: Sequence[Path], upper: Path, work: Path, target: Path) -> None:
    """Mount the layers, given lowest first, with `upper` to take the changes, at `target`."""
    for folder in (upper, work, target):
        folder.mkdir(parents=True, exist_ok=True)
    upper.chmod(0o755)  # it becomes the image's root folder, whatever the umask is
    for path in (*lowers, upper, work):
        assert not re.search(r"[:,\\]", str(path)), path
    stack = ":".join(str(lower) for lower in reversed(lowers))
    places = (f"lowerdir={stack}", f"upperdir={upper}", f"workdir={work}")
    mount("overlay", target, filesystem="overlay", options=(*places, *OVERLAY_OPTIONS))


def clean(root: Path, epoch: int) -> None:
    """Take from a folder what differs between two builds; links are never followed.

    It works on a whole root as well as on the upper folder of an overlay, and leaves each file
    dated `epoch` at the latest.
    """
    for folder in EMPTIED_FOLDERS:
        _empty_folder(root, folder)
    for pattern in DELETED_FILES:
        for path in _find(root, pattern):
            path.unlink()
    for path in list(walk(root / "var/log")):
        if stat.S_ISREG(path.lstat().st_mode):
            path.unlink()
    _delete_bytecode(root)
    _empty_file(root, MACHINE_ID)
    _date_passwords(root, SHADOW_FILE, epoch // SECONDS_PER_DAY)
    clamp_times(root, epoch)


def clamp_times(root: Path, epoch: int) -> None:
    """Date everything that is newer than `epoch`, the folder itself included, at `epoch`."""
    limit = epoch * 1_000_000_000
    for path in (*walk(root), root):
        if path.lstat().st_mtime_ns > limit:
            os.utime(path, ns=(limit, limit), follow_symlinks=False)


def strip_overlay_attributes(upper: Path) -> None:
    """Take the attributes of one mount from an unmounted upper folder; `opaque` stays."""
    for path in (*walk(upper), upper):
        for name in os.listxattr(path, follow_symlinks=False):
            if name in MOUNT_ATTRIBUTES:
                os.removexattr(path, name, follow_symlinks=False)


def pack(
    tree: Path, result: Path, *, compression: Compression, tools: Path, epoch: int, log: Path
) -> None:
    """Pack a folder into a squashfs with the tools tree's mksquashfs."""
    result.unlink(missing_ok=True)
    argv = (
        *("mksquashfs", "/mnt/tree", f"/mnt/result/{result.name}"),
        *("-noappend", "-no-progress", "-reproducible", "-xattrs"),
        *SQUASHFS_OPTIONS[compression],
    )
    bindings = {"result": result.parent, "tree": tree}
    run(
        isolated(argv, root=tools, bindings=bindings, tmpfs=("/tmp",)),
        log=log,
        env={"SOURCE_DATE_EPOCH": str(epoch)},
    )


def _find(root: Path, pattern: str) -> list[Path]:
    """Give the files of a pattern below the root, none of them reached through a link."""
    found = (path for path in root.glob(pattern) if _is_inside(root, path))
    return [path for path in found if stat.S_ISREG(path.lstat().st_mode)]


def _is_inside(root: Path, path: Path) -> bool:
    parents = path.relative_to(root).parents
    return not any((root / parent).is_symlink() for parent in parents)


def _empty_folder(root: Path, name: str) -> None:
    folder = root / name
    if folder.is_symlink() or not folder.is_dir() or not _is_inside(root, folder):
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _empty_file(root: Path, name: str) -> None:
    for path in _find(root, name):
        path.write_bytes(b"")


def _delete_bytecode(root: Path) -> None:
    for path in list(walk(root)):
        if path.name == "__pycache__" and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.suffix == ".pyc" and path.parent.name != "__pycache__":
            path.unlink(missing_ok=True)


def _date_passwords(root: Path, name: str, day: int) -> None:
    """Set the day of the last change, the third field, where it is later than `day`."""
    for path in _find(root, name):
        lines = [line.split(":") for line in path.read_text().splitlines()]
        for fields in lines:
            if fields[2].isdigit() and int(fields[2]) > day:
                fields[2] = str(day)
        path.write_text("".join(":".join(fields) + "\n" for fields in lines))

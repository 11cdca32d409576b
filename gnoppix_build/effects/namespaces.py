# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts that vanish with the process that made them, however it ends."""

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gnoppix_build.effects.faults import EnvironmentFault
from gnoppix_build.effects.process import CLEAN_ENVIRONMENT, require_tool

CLONE_NEWNS = 0x00020000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18


def enter_private_mounts() -> None:
    """Move this process to a mount namespace of its own, from which nothing spreads.

    Needs root. Call it before threads start: a thread keeps the namespace it was born in.
    Source: unshare(2), mount_namespaces(7).
    """
    if os.geteuid() != 0:
        raise EnvironmentFault(
            "layers are mounted, and mounting needs root", hint="run the same command with sudo"
        )
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        _raise_refusal("a mount namespace")
    if libc.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None) != 0:
        _raise_refusal("private mounts")


def mount(source: str, target: Path, *, filesystem: str, options: Sequence[str] = ()) -> None:
    """Mount a file system; the target is made if it is not there."""
    target.mkdir(parents=True, exist_ok=True)
    chosen = ("-o", ",".join(options)) if options else ()
    _call("mount", "-t", filesystem, *chosen, source, str(target))


def mount_squashfs(image: Path, target: Path) -> None:
    """Mount a layer read-only; its loop device goes away with the mount."""
    mount(str(image), target, filesystem="squashfs", options=("ro", "loop"))


def bind(source: Path, target: Path, *, read_only: bool = False) -> None:
    """Let `source` appear at `target` too, which must exist."""
    _call("mount", "--bind", *(("-o", "ro") if read_only else ()), str(source), str(target))


def unmount(target: Path) -> None:
    """Take a mount away at once; what still uses it keeps it until it ends."""
    _call("umount", "--lazy", str(target))


@contextmanager
def mounted_squashfs(image: Path, target: Path) -> Iterator[Path]:
    """Hold a layer mounted for as long as the block lasts."""
    mount_squashfs(image, target)
    try:
        yield target
    finally:
        unmount(target)


def _call(*argv: str) -> None:
    """Run mount(8) here: a child's namespace would keep the mount to itself."""
    require_tool(argv[0])
    result = subprocess.run(
        argv, check=False, capture_output=True, env=CLEAN_ENVIRONMENT, stdin=subprocess.DEVNULL
    )
    if result.returncode != 0:
        said = result.stderr.decode(errors="replace").strip()
        raise EnvironmentFault(f"`{' '.join(argv)}` was refused: {said}")


def _raise_refusal(what: str) -> None:
    reason = os.strerror(ctypes.get_errno())
    raise EnvironmentFault(
        f"the kernel refuses {what}: {reason}",
        hint="run it on a host or in a container with CAP_SYS_ADMIN",
    )

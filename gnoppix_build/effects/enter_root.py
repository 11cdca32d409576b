# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of its own: give a command a bare /proc, /dev and host name, and a root to live in.

It expects to start in new PID, mount, UTS, IPC and network namespaces, and it replaces itself
by the command. It needs nothing but the standard library.
"""

import argparse
import os
import socket
import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

HOST_NAME = "localhost"
MEETING_POINT = "mnt"
# What a maintainer script could copy from the build host into the image.
HIDDEN_FILES = ("proc/swaps", "proc/cmdline", "proc/modules")
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9)}
DEVICES |= {"tty": (5, 0), "console": (5, 1)}
DEVICE_LINKS = {"fd": "/proc/self/fd", "ptmx": "pts/ptmx"}
DEVICE_LINKS |= {"stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}


def enter_root(
    root: Path,
    bindings: Mapping[str, Path],
    tmpfs: Sequence[str],
    argv: Sequence[str],
    *,
    with_host_devices: bool,
) -> None:
    """Furnish the root, move into it, and become the command."""
    opened = {name: os.open(source, os.O_PATH) for name, source in bindings.items()}
    socket.sethostname(HOST_NAME)
    _mount("-t", "proc", "proc", "/proc")
    if root != Path("/"):
        _mount("-t", "proc", "proc", str(root / "proc"))
        if with_host_devices:
            _mount("--rbind", "/dev", str(root / "dev"))
        else:
            _make_devices(root / "dev")
    for folder in tmpfs:
        mode = "1777" if folder == "/tmp" else "0755"
        _mount("-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", str(root / folder.lstrip("/")))
    _bind_at_meeting_point(root / MEETING_POINT, opened)
    for hidden in (root / name for name in HIDDEN_FILES):
        if hidden.exists():
            _mount("--bind", "/dev/null", str(hidden))
    os.chroot(root)
    os.chdir("/")
    os.umask(0o022)
    os.execvp(argv[0], list(argv))  # noqa: S606 - no shell is wanted


def _bind_at_meeting_point(meeting_point: Path, opened: Mapping[str, int]) -> None:
    """Bind the sources by way of descriptors: they may lie below a folder that is covered."""
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(meeting_point))
    for name, descriptor in opened.items():
        inside = meeting_point / name
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            inside.mkdir()
        else:
            inside.touch()
        _mount("--bind", f"/proc/{os.getpid()}/fd/{descriptor}", str(inside))
        os.close(descriptor)


def _make_devices(devices: Path) -> None:
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(devices))
    for name, (major, minor) in DEVICES.items():
        os.mknod(devices / name, stat.S_IFCHR, os.makedev(major, minor))
        (devices / name).chmod(0o666)
    for name, destination in DEVICE_LINKS.items():
        (devices / name).symlink_to(destination)
    for name in ("pts", "shm"):
        (devices / name).mkdir()
    _mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", str(devices / "pts"))
    _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", str(devices / "shm"))


def _mount(*arguments: str) -> None:
    subprocess.run(("mount", *arguments), check=True)  # noqa: S607 - PATH is our own


def main() -> None:
    """Read the options, which `process.isolated` writes, and enter."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=Path("/"))
    parser.add_argument("--bind", action="append", default=[])
    parser.add_argument("--tmpfs", action="append", default=[])
    parser.add_argument("--host-devices", action="store_true")
    parser.add_argument("argv", nargs="+")
    arguments = parser.parse_args()
    named = (binding.split("=", 1) for binding in arguments.bind)
    bindings = {name: Path(source) for name, source in named}
    enter_root(
        arguments.root,
        bindings,
        arguments.tmpfs,
        arguments.argv,
        with_host_devices=arguments.host_devices,
    )


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces that vanish with the test, and cables between them."""

import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self, TypeVar

from gnoppix_build.effects.process import CLEAN_ENVIRONMENT

Result = TypeVar("Result")
LEASH = ("setpriv", "--pdeathsig", "KILL", "--")
# Source: linux/sched.h, linux/if_tun.h, linux/if_ether.h.
CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
ETH_P_ALL = 3
ROOT_MOUNTS = """
set -e
mount --bind "$1" "$1"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/run"
mount -t tmpfs tmpfs "$1/tmp"
mount --bind "$2" "$1/mnt"
exec sleep infinity
"""


class Namespace:
    """A network namespace, held open by a process of ours; nothing of it outlives that process.

    `root` and `work`: a tree to run commands in, which sees `work` as /mnt. Use it as a context.
    """

    def __init__(self, root: Path | None = None, work: Path | None = None) -> None:
        self._root = root
        self._work = work
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        command: tuple[str | Path, ...] = ("sleep", "infinity")
        if self._root is not None and self._work is not None:
            command = ("sh", "-c", ROOT_MOUNTS, "sh", self._root, self._work)
        self._holder = _start((*LEASH, "unshare", "--net", "--mount", *command))
        _wait_until(lambda: _is_apart(self._holder.pid), "a network namespace")
        self.run("ip", "link", "set", "lo", "up")
        if self._root is not None:
            bound = f" {self._root.resolve()}/mnt "
            mounts = Path(f"/proc/{self._holder.pid}/mounts")
            _wait_until(lambda: bound in mounts.read_text(), "the mounts of a root")
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed((self._holder, *self._started)):
            process.kill()
            process.wait()

    @property
    def path(self) -> Path:
        """Give the namespace as a file: for `systemd-nspawn --network-namespace-path=`, say."""
        return Path(f"/proc/{self._holder.pid}/ns/net")

    @property
    def pid(self) -> int:
        """Give the process that holds the namespace: for `ip link set IFACE netns`."""
        return self._holder.pid

    def command(self, *argv: str | Path) -> tuple[str | Path, ...]:
        """Give the command that runs `argv` in the namespace, among the host's files."""
        return ("nsenter", f"--net={self.path}", "--", *argv)

    def command_in_root(self, *argv: str | Path) -> tuple[str | Path, ...]:
        """Give the command that runs `argv` in the namespace and in its root."""
        assert self._root is not None, "the namespace has no root"
        holder = str(self._holder.pid)
        return ("nsenter", "--net", "--mount", "--target", holder, "chroot", self._root, *argv)

    def run(self, *argv: str | Path, stdin: bytes = b"") -> bytes:
        """Run a command to its end and give what it said."""
        return check_output(self.command(*argv), stdin)

    def run_in_root(self, *argv: str | Path, stdin: bytes = b"") -> bytes:
        """Run a command of the root to its end and give what it said."""
        return check_output(self.command_in_root(*argv), stdin)

    def start(
        self, command: Sequence[str | Path], log: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command (see `command`); it ends with the namespace."""
        process = _start((*LEASH, *command), log)
        self._started.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End what `start` gave before the namespace ends."""
        process.kill()
        process.wait()
        self._started.remove(process)

    def call(self, action: Callable[[], Result]) -> Result:
        """Call a function whose sockets and taps are to be the namespace's."""
        given: list[Result] = []
        faults: list[BaseException] = []

        def enter_and_call() -> None:
            try:
                _enter_network(self.path)
                given.append(action())
            except BaseException as fault:  # noqa: BLE001 - it is raised in the caller's thread
                faults.append(fault)

        # Only a thread's network changes, and this one ends at once.
        thread = threading.Thread(target=enter_and_call)
        thread.start()
        thread.join()
        if faults:
            raise faults[0]
        return given[0]

    def set(self, key: str, value: str) -> None:
        """Set a network parameter of the kernel: a path below /proc/sys/net."""
        self.call(lambda: Path("/proc/sys/net", key).write_text(value))

    def make_tap(self, name: str) -> int:
        """Make an interface whose other end is a file descriptor: QEMU's `-netdev tap,fd=`."""
        return self.call(lambda: _open_tap(name))

    def listen_on_card(self, name: str) -> socket.socket:
        """Give a packet socket that sees every frame of an interface."""
        return self.call(lambda: _open_card(name))


def connect(one: Namespace, name: str, other: Namespace, other_name: str) -> None:
    """Lay a cable between two namespaces; both ends are up."""
    one.run(
        *("ip", "link", "add", name, "type", "veth"),
        *("peer", "name", other_name, "netns", str(other.pid)),
    )
    one.run("ip", "link", "set", name, "up")
    other.run("ip", "link", "set", other_name, "up")


@contextmanager
def recorded_frames(card: socket.socket) -> Iterator[list[bytes]]:
    """Give a list that holds, after the block, what came in by a packet socket's interface."""
    frames: list[bytes] = []
    ended = threading.Event()

    def take() -> None:
        while not (is_last := ended.is_set()) or select.select([card], [], [], 0)[0]:
            if is_last or select.select([card], [], [], 0.05)[0]:
                frame, sender = card.recvfrom(1 << 16)
                if sender[2] != socket.PACKET_OUTGOING:
                    frames.append(frame)

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield frames
    finally:
        ended.set()
        thread.join()


def check_output(command: Sequence[str | Path], stdin: bytes = b"") -> bytes:
    """Run a command in a clean environment; its complaint becomes the assertion's text."""
    done = subprocess.run(
        command, input=stdin, capture_output=True, check=False, env=CLEAN_ENVIRONMENT
    )
    said = (done.stderr or done.stdout).decode(errors="replace").strip()
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {said}"
    return done.stdout


def _start(command: Sequence[str | Path], log: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log or subprocess.DEVNULL,
        stderr=log or subprocess.DEVNULL,
        env=CLEAN_ENVIRONMENT,
        start_new_session=True,
    )


def _is_apart(pid: int) -> bool:
    theirs = Path(f"/proc/{pid}/ns")
    own = Path("/proc/self/ns")
    return all((theirs / kind).readlink() != (own / kind).readlink() for kind in ("net", "mnt"))


def _wait_until(is_true: Callable[[], bool], what: str, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, f"{what} did not come up in {timeout_s:.0f} s"
        time.sleep(0.01)


def _enter_network(path: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("rb") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _open_tap(name: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def _open_card(name: str) -> socket.socket:
    card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    card.bind((name, ETH_P_ALL))
    return card

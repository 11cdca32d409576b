# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines: an unmodified image booted by its own boot loader, with a root shell."""

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from gnoppix_build.effects.faults import EnvironmentFault
from gnoppix_build.effects.guest_channel import GuestChannel, GuestFault
from gnoppix_build.effects.pcap import read_frames
from gnoppix_build.effects.process import (
    CLEAN_ENVIRONMENT,
    isolated,
    place_of_binding,
    require_tool,
)
from gnoppix_build.effects.qemu_command import (
    Firmware,
    Lan,
    MachinePlaces,
    MachineSize,
    OwnLan,
    descriptors_of,
    machine_command,
    probe_command,
)
from gnoppix_build.effects.qemu_monitor import Monitor
from gnoppix_build.targets.shell import CommandOutcome

HOST_TOOLS = ("setpriv", "unshare", "mount")
SCRATCH_BYTES = 1 << 20
UNFINISHED_STATES = frozenset({"", "initializing", "starting", "offline", "unknown"})
STATE_NAME = re.compile(r"[a-z][a-z0-9-]*")


class Machine:
    """A running guest; as a context manager it starts QEMU and ends it.

    QEMU runs from `tools` (the mounted root of a Debian tree), in a network namespace without
    an interface, and dies with the thread that entered the context. `credentials` (name -> text)
    are those of systemd.system-credentials(7) that the machine's firmware brings;
    `hardware_clock` is what its clock shows, in UTC, in place of the right time. Raises
    EnvironmentFault when the host lacks a tool and GuestFault when the guest does not answer.
    """

    def __init__(
        self,
        iso: Path,
        tools: Path,
        work: Path,
        firmware: Firmware = "bios",
        *,
        lan: Lan | None = None,
        kvm: bool = False,
        size: MachineSize | None = None,
        credentials: Mapping[str, str] | None = None,
        hardware_clock: datetime | None = None,
    ) -> None:
        self.serial_log = work / "serial.log"
        self.log = work / "qemu.log"
        self.recording = work / "lan.pcap"
        self._iso = iso
        self._tools = tools
        self._work = work
        self._firmware = firmware
        self._lan = lan or OwnLan()
        self._kvm = kvm
        self.size = size or MachineSize()
        self._credentials = credentials or {}
        self._hardware_clock = hardware_clock
        self._release: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        _require_host_tools()
        self._work.mkdir(parents=True, exist_ok=True)
        for stale in (self.serial_log, self.recording):
            stale.unlink(missing_ok=True)
        with (self._work / "scratch").open("wb") as scratch:
            scratch.truncate(SCRATCH_BYTES)
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def wait_for_shell(self, timeout_s: float = 600.0) -> None:
        """Return when the guest has a root shell."""
        try:
            self._channel.wait_for_greeting(timeout_s)
        except GuestFault as fault:
            with suppress(GuestFault):
                self._monitor.run_human_command(f"screendump {place_of_binding('work')}/screen.ppm")
            raise GuestFault(
                fault.message, hint=f"see {self.serial_log}, {self.log} and screen.ppm beside them"
            ) from fault

    def wait_for_boot(self, timeout_s: float = 600.0) -> str:
        """Return systemd's state once the boot has ended: `running` or `degraded`, say."""
        deadline = time.monotonic() + timeout_s
        state = ""
        while (remaining_s := deadline - time.monotonic()) > 0:
            outcome = self.run("systemctl is-system-running --wait", timeout_s=remaining_s)
            state = outcome.stdout.decode(errors="replace").strip()
            if state not in UNFINISHED_STATES:
                return state
            time.sleep(1)
        raise GuestFault(f"the guest's boot did not end in {timeout_s:.0f} s (it is `{state}`)")

    def run(self, command: str, timeout_s: float = 120.0) -> CommandOutcome:
        """Run a command in the guest's root shell; status 124 says that it took too long."""
        return self._channel.run(command, timeout_s)

    def frames(self) -> Iterator[bytes]:
        """Give every Ethernet frame that the network card sent or got so far."""
        if not self.recording.exists():
            return iter(())
        return read_frames(self.recording)

    def save(self, name: str) -> None:
        """Keep the whole state of the machine under a name, until the machine ends."""
        self._monitor.run_human_command(f"savevm {_checked_name(name)}")

    def restore(self, name: str) -> None:
        """Go back to a saved state; the recording keeps what was recorded since."""
        self._monitor.run_human_command(f"loadvm {_checked_name(name)}")

    def power_off(self, timeout_s: float = 180.0) -> None:
        """Shut the guest down by its own means and return when it is off."""
        self.run("systemctl --no-block poweroff")
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise GuestFault(f"the guest is not off after {timeout_s:.0f} s") from None

    def _start(self) -> None:
        shell_end, guest_shell = self._connected_pair()
        monitor_end, guest_monitor = self._connected_pair()
        places = MachinePlaces(
            iso=place_of_binding("iso"),
            scratch=f"{place_of_binding('work')}/scratch",
            recording=f"{place_of_binding('work')}/{self.recording.name}",
            serial_log=f"{place_of_binding('work')}/{self.serial_log.name}",
            shell_socket=guest_shell.fileno(),
            monitor_socket=guest_monitor.fileno(),
        )
        log = self.log.open("wb")
        self._release.append(log.close)
        process = start_in_tools(
            self._tools,
            {"work": self._work, "iso": self._iso},
            machine_command(
                places,
                self._firmware,
                self.size,
                self._lan,
                self._credentials,
                kvm=self._kvm,
                hardware_clock=self._hardware_clock,
            ),
            log=log,
            descriptors=(places.shell_socket, places.monitor_socket, *descriptors_of(self._lan)),
        )
        self._process = process
        self._release.append(lambda: _kill(process))
        guest_shell.close()
        guest_monitor.close()
        self._channel = GuestChannel(shell_end)
        self._monitor = Monitor(monitor_end)
        try:
            self._monitor.negotiate()
        except GuestFault as fault:
            raise EnvironmentFault("QEMU did not start", hint=f"see {self.log}") from fault

    def _connected_pair(self) -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair()
        self._release += [ours.close, theirs.close]
        return ours, theirs

    def _end(self) -> None:
        while self._release:
            self._release.pop()()
        (self._work / "scratch").unlink(missing_ok=True)


def start_in_tools(
    tools: Path,
    bindings: dict[str, Path],
    argv: Sequence[str],
    *,
    log: IO[bytes],
    descriptors: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a command inside a tools tree, without a network; it dies with the caller's thread.

    `bindings`: name below /mnt of the tree -> file or folder of the host. Nothing stays mounted.
    """
    root = tools.resolve()
    return subprocess.Popen(
        (
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *isolated(argv, root=root, bindings=bindings, with_host_devices=True),
        ),
        env={**CLEAN_ENVIRONMENT, "TMPDIR": place_of_binding("work")},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=tuple(descriptors),
        start_new_session=True,
    )


def can_run_kvm(tools: Path, work: Path, timeout_s: float = 5.0) -> bool:
    """Say whether a guest under KVM really runs: its firmware must get as far as to speak."""
    if not Path("/dev/kvm").exists():
        return False
    _require_host_tools()
    work.mkdir(parents=True, exist_ok=True)
    console = work / "kvm-console.log"
    console.unlink(missing_ok=True)
    command = probe_command(f"{place_of_binding('work')}/{console.name}")
    with (work / "kvm-probe.log").open("wb") as log:
        process = start_in_tools(tools, {"work": work}, command, log=log)
        try:
            deadline = time.monotonic() + timeout_s
            while time.monotonic() < deadline and process.poll() is None:
                if console.exists() and console.stat().st_size > 0:
                    return True
                time.sleep(0.1)
            return False
        finally:
            _kill(process)


def _require_host_tools() -> None:
    for tool in HOST_TOOLS:
        require_tool(tool)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _checked_name(name: str) -> str:
    assert STATE_NAME.fullmatch(name), name
    return name

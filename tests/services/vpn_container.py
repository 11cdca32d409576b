# SPDX-License-Identifier: GPL-3.0-or-later
"""A profile as a running system: its files, units and users in a container with a real cable.

The container starts systemd, udev and all, on an overlay of the lab's tree. It is not an image: its
kernel is the host's, its card is one end of a veth pair, and what only an image has (boot loader,
packages that the profile installs) is left out.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from net_namespace import LEASH, Namespace, check_output

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.catalog.manifest import Group, User
from gnoppix_build.checks.context import CheckContext
from gnoppix_build.checks.finding import Finding
from gnoppix_build.checks.run import run_checks
from gnoppix_build.effects.process import CLEAN_ENVIRONMENT
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.model import Policy
from gnoppix_build.render.configuration import render_configuration
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.resolve import resolve
from gnoppix_build.targets.shell import CommandOutcome
from gnoppix_build.targets.vm import GuestHost

PROJECT: Final = Path(__file__).parents[2]
CARD: Final = "card0"
READY_S: Final = 60.0
# In mount and PID namespaces of its own, so that nothing of it stays: LOWER WORK NAME.
# udev's control socket has to seem to be there when systemd starts: it takes a container without
# devtmpfs for one without udev. Source: systemd's sd-device, `MONITOR_GROUP_UDEV`.
BOOT = """
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root" || exit 1
mkdir "$2/udev" && : >"$2/udev/control"
exec systemd-nspawn --quiet --register=no --keep-unit --console=pipe \\
    --directory="$2/root" --machine="$3" --bind="$2/udev:/run/udev" --bind=/dev/net/tun \\
    --capability=all --boot
"""
LISTENER = """
import socket, time
with socket.create_server(("127.0.0.1", {port})):
    print("ready", flush=True)
    time.sleep(600)
"""
# What stands in for hardware: a veth end counts as a card, and only network devices are announced.
CARD_RULE = f'SUBSYSTEM=="net", KERNEL=="{CARD}|eth0", ENV{{GNOPPIX_CARD}}="1"\n'
STAND_INS: Final[Mapping[str, str]] = {
    "etc/udev/rules.d/50-lab.rules": CARD_RULE,
    "etc/systemd/system/systemd-udev-trigger.service.d/lab.conf": "[Service]\nExecStart=\n"
    "ExecStart=/usr/bin/udevadm trigger --subsystem-match=net --action=add\n",
}
APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--")


def first_child(pid: int) -> int | None:
    """Give the first child of a process that has one thread."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else None


def resolve_profile(profile: Path) -> Resolved:
    """Resolve a profile of the test."""
    reader = SourceFolders([PROJECT, profile.parent])
    catalog = load_catalog([COMPONENTS_FOLDER], reader)
    resolution = resolve(profile, catalog, reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    return resolution.resolved


class Container:
    """The system of a profile; its card is `CARD` in `network`. Use it as a context."""

    def __init__(self, resolved: Resolved, lab_root: Path, work: Path, network: Namespace) -> None:
        self._resolved = resolved
        self._lab_root = lab_root
        self._work = work
        self.network = network
        self.policy: Policy = compile_policy(resolved)
        self._upper = work / "upper"
        for folder in ("upper", "work", "root"):
            (work / folder).mkdir(parents=True)
        manifests = [each.manifest for each in resolved.components]
        self._add_accounts(
            [user for each in manifests for user in each.users],
            [group for each in manifests for group in each.groups],
        )
        self._switch_units(resolved)
        for file in render_configuration(resolved, SourceFolders([PROJECT])):
            self.write(file.path.lstrip("/"), file.content, file.mode)
        for path, text in STAND_INS.items():
            self.write(path, text.encode())
        self._as_a_veth_pair_looks()

    def write(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Put a file into the system that is not yet started."""
        place = self._upper / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(mode)

    def move_away(self, path: str) -> None:
        """Let a file that was put into it be found only under its name with `.away` behind."""
        place = self._upper / path
        place.rename(place.with_name(f"{place.name}.away"))

    def read(self, path: str) -> str:
        """Read a file that was put into it."""
        return (self._upper / path).read_text()

    def __enter__(self) -> Self:
        console = (self._work / "console").open("wb")
        self._start(console)
        deadline = time.monotonic() + READY_S
        while not self._is_up():
            assert self._boss.poll() is None, (self._work / "console").read_text(errors="replace")
            assert time.monotonic() < deadline, self.tell()
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._boss.kill()
        self._boss.wait()

    def command(self, *argv: str | Path) -> tuple[str | Path, ...]:
        """Give the command that runs `argv` in the system."""
        kinds = ("--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd")
        return ("nsenter", *kinds, "--target", str(self._init), "--", *argv)

    def run(self, *argv: str | Path) -> str:
        """Run a command in the system to its end."""
        return check_output(self.command(*argv)).decode()

    def tries(self, *argv: str | Path) -> bool:
        """Tell whether a command in the system succeeds."""
        done = subprocess.run(
            self.command(*argv), capture_output=True, check=False, env=CLEAN_ENVIRONMENT
        )
        return done.returncode == 0

    def run_shell(self, command: str) -> CommandOutcome:
        """Run one shell command to its end, whatever becomes of it."""
        done = subprocess.run(
            self.command("sh", "-c", command),
            capture_output=True,
            check=False,
            env=CLEAN_ENVIRONMENT,
        )
        return CommandOutcome(done.returncode, done.stdout, done.stderr)

    def check(self, component: str) -> dict[str, Finding]:
        """Run the running checks of a component; gives the name of a check -> what it found."""
        (found,) = (each for each in self._resolved.components if each.name == component)
        file = found.folder / f"check_{component.replace('-', '_')}.py"
        options = {each.name: each.options for each in self._resolved.components}
        host = GuestHost(ContainerShell(self))
        context = CheckContext(host, options, self.policy, self._resolved)
        findings = run_checks({component: file}, "running", context)
        return {each.check: each for each in findings}

    def start(self, *units: str) -> None:
        """Start units, or tell what the system says."""
        assert self.tries("systemctl", "start", *units), self.tell()

    def beneath(self, *argv: str | Path) -> str:
        """Run a command in the system, in the network namespace of its cards."""
        return self.run("nsenter", "--net=/run/netns/carrier", "--", *argv)

    @contextmanager
    def listening_beneath(self, port: int) -> Iterator[None]:
        """Let a program listen where the cards are."""
        program = LISTENER.format(port=port)
        enter = ("nsenter", "--net=/run/netns/carrier", "--")
        process = subprocess.Popen(
            self.command(*enter, "python3", "-c", program), stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", "nobody listens"
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def wait_until(self, is_true: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
        """Wait for something to come true, or tell what the system says."""
        deadline = time.monotonic() + timeout_s
        while not is_true():
            assert time.monotonic() < deadline, f"no {what} in {timeout_s:.0f} s\n{self.tell()}"
            time.sleep(0.05)

    def tell(self) -> str:
        """Give the end of the journal."""
        return self.run("journalctl", "--no-pager", "--boot", "--lines=80")

    def _start(self, console: IO[bytes]) -> None:
        name = f"lab-{self._work.stat().st_ino}"
        boot = (*APART, "sh", "-c", BOOT, "sh", self._lab_root, self._work, name)
        self._boss = subprocess.Popen(
            (*LEASH, *self.network.command(*boot)),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env={**CLEAN_ENVIRONMENT, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes"},
            start_new_session=True,
        )

    def _is_up(self) -> bool:
        nspawn = first_child(self._boss.pid)
        init = first_child(nspawn) if nspawn else None
        if init is None:
            return False
        self._init = init
        done = subprocess.run(
            self.command("systemctl", "is-system-running"),
            capture_output=True,
            check=False,
            text=True,
            env=CLEAN_ENVIRONMENT,
        )
        return done.stdout.strip() in ("running", "degraded")

    def _switch_units(self, resolved: Resolved) -> None:
        """Enable by presets, which systemd applies at a first start; mask by links."""
        units = [each.units for part in resolved.components for each in part.contributions]
        enabled = {unit for each in units for unit in each.enable}
        lines = [f"enable {unit}" for unit in sorted(enabled)] + ["disable *", ""]
        self.write("etc/systemd/system-preset/00-lab.preset", "\n".join(lines).encode())
        for unit in {unit for each in units for unit in each.mask} | ({"tor.service"} - enabled):
            place = self._upper / "etc/systemd/system" / unit
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to("/dev/null")

    def _add_accounts(self, users: Sequence[User], further: Sequence[Group]) -> None:
        """Add the accounts that the tree does not have; others keep their numbers."""
        accounts = (self._lab_root / "etc/passwd").read_text()
        groups = (self._lab_root / "etc/group").read_text()
        known = {line.split(":")[0] for line in accounts.splitlines()}
        for user in users:
            if user.name not in known:
                numbers = f"{user.uid}:{user.uid}"
                accounts += f"{user.name}:x:{numbers}::{user.home}:{user.shell}\n"
                groups += f"{user.name}:x:{user.uid}:\n"
        groups += "".join(f"{group.name}:x:{group.gid}:\n" for group in further)
        self.write("etc/passwd", accounts.encode())
        self.write("etc/group", groups.encode())

    def _as_a_veth_pair_looks(self) -> None:
        """Take out the one match that a card without hardware cannot meet."""
        path = "etc/systemd/network/10-gnoppix.network"
        text = self.read(path)
        changed = text.replace("Kind=!*\n", "")
        assert changed != text, "the network's match has changed"
        self.write(path, changed.encode())


@dataclass(frozen=True)
class ContainerShell:
    """The root shell that checks of a running system use."""

    container: Container

    def run(self, command: str) -> CommandOutcome:
        """Run one shell command to its end."""
        return self.container.run_shell(command)

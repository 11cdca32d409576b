# SPDX-License-Identifier: GPL-3.0-or-later
"""A booted container that has the files of a profile, on a cable to a hostile network.

A container has no hardware: its card is one end of a cable, which the rules for cards are changed
to take for one.
"""

import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

from lab_root import PACKAGES, make_lab_root
from net_namespace import LEASH, Namespace, check_output

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.effects.hostile_lan import LENGTH, HostileLan
from gnoppix_build.effects.process import CLEAN_ENVIRONMENT
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.model import Policy
from gnoppix_build.render.configuration import render_configuration
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.resolve import resolve
from gnoppix_build.targets.shell import CommandOutcome

CARD: Final = "eth0"
FAR_END: Final = "lan0"
MEMBER, STRANGER = 1000, 1001
BOOT_TIMEOUT_S = 60.0
# $1: the lower tree, $2: the folder of the lab; the rest are units: enabled, `--`, masked.
# Without its control socket in place at the start, systemd would not listen to udev. Only the
# events of the container's own network are asked for again.
BOOT = """
set -e
lower=$1 lab=$2; shift 2
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$lab/upper,workdir=$lab/work" "$lab/root"
act=enable
for unit; do
    case $unit in
    --) act=mask ;;
    *) systemctl --quiet --root="$lab/root" "$act" "$unit" ;;
    esac
done
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes SYSTEMD_NSPAWN_LOCK=0
exec systemd-nspawn --quiet --register=no --keep-unit --boot --console=pipe -D "$lab/root" \
    --bind="$lab/udev:/run/udev" --resolv-conf=off --timezone=off --capability=CAP_NET_ADMIN
"""
TRIGGER = "[Service]\nExecStart=\nExecStart=-udevadm trigger --action=add --subsystem-match=net\n"
IS_VIRTUAL = ', DEVPATH!="/devices/virtual/*"'
VETH_IS_A_CARD = "\n[device-lab]\nmatch-device=type:veth\nkeep-configuration=no\nmanaged=0\n"
UNITS = {"network-manager": "NetworkManager.service", "networkd": "systemd-networkd.service"}


class CardContainer:
    """The container, its cable and the network; use it as a context.

    `root`: a tree with the manager's packages; `beside`: further components, with their options,
    `units`: those of theirs that are enabled, `files`: what is put into the system (path ->
    content); `options`: of `network-identity`.
    """

    def __init__(
        self,
        folder: Path,
        root: Path,
        *,
        beside: str = "",
        units: Sequence[str] = (),
        files: Mapping[str, str] = MappingProxyType({}),
        **options: str,
    ) -> None:
        self._folder = folder
        self._lower = root
        self._beside = beside
        self._units = units
        self._files = files
        self._options = options
        self._profile = self._resolved()
        self.policy: Policy = compile_policy(self._profile)
        self._near, self._far = Namespace(), Namespace()
        self._stack = ExitStack()
        self.lan = HostileLan()
        self.frames: list[bytes] = []

    def __enter__(self) -> Self:
        for each in (self._near, self._far, self.lan):
            self._stack.enter_context(each)
        self._far.set("ipv6/conf/default/disable_ipv6", "1")
        self._write_files()
        self._stack.enter_context(self._booted())
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def plug_card(self) -> None:
        """Lay a cable to the hostile network; an older one goes."""
        with suppress(AssertionError):
            self._far.run("ip", "link", "delete", FAR_END)
        self._near.run(
            *("ip", "link", "add", CARD, "type", "veth"),
            *("peer", "name", FAR_END, "netns", str(self._far.pid)),
        )
        self._far.run("ip", "link", "set", FAR_END, "up")
        card = self._far.listen_on_card(FAR_END)
        threading.Thread(target=self._carry, args=(card,), daemon=True).start()

    def run(self, *argv: str, user: int = 0) -> str:
        """Run a command in the container to its end."""
        return check_output(self._inside(user, argv)).decode()

    def try_to_run(self, *argv: str, user: int = 0) -> int:
        """Run a command in the container and give its exit status."""
        done = subprocess.run(
            self._inside(user, argv), env=CLEAN_ENVIRONMENT, check=False, capture_output=True
        )
        return done.returncode

    def run_shell(self, command: str) -> CommandOutcome:
        """Run one shell command in the container to its end, whatever becomes of it."""
        inside = self._inside(0, ("sh", "-c", command))
        done = subprocess.run(inside, env=CLEAN_ENVIRONMENT, check=False, capture_output=True)
        return CommandOutcome(done.returncode, done.stdout, done.stderr)

    def is_active(self, unit: str) -> bool:
        """Tell whether a unit of the container is active."""
        return self.try_to_run("systemctl", "--quiet", "is-active", unit) == 0

    def link(self) -> dict[str, Any]:
        """Give what iproute2 says of the card, with its addresses."""
        found: list[dict[str, Any]] = json.loads(
            self._near.run("ip", "-json", "address", "show", "dev", CARD)
        )
        return found[0]

    def is_up(self) -> bool:
        """Tell whether the card's link is up."""
        return "UP" in self.link()["flags"]

    def has_address(self) -> bool:
        """Tell whether the card has an address of IPv4."""
        return any(each["family"] == "inet" for each in self.link()["addr_info"])

    def routes(self) -> list[str]:
        """Give every route but the local ones, as text without its details."""
        said = self._near.run("ip", "-4", "route", "show").decode()
        said += self._near.run("ip", "-6", "route", "show").decode()
        return sorted(re.sub(r" (proto|scope|src|metric) .*| $", "", x) for x in said.splitlines())

    def _inside(self, user: int, argv: tuple[str, ...]) -> tuple[str, ...]:
        entered = ("nsenter", "--all", "--target", str(self._leader), "--")
        groups = "861" if user == MEMBER else "1001"
        who = (f"--reuid={user}", f"--regid={user}", f"--groups={groups}") if user else ()
        return (*entered, *(("setpriv", *who, "--") if user else ()), *argv)

    def _write_files(self) -> None:
        for name in ("root", "udev", "upper", "work"):
            (self._folder / name).mkdir()
        (self._folder / "udev/control").touch()
        upper = self._folder / "upper"
        for file in render_configuration(self._profile, SourceFolders([COMPONENTS_FOLDER])):
            target = upper / file.path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_with_a_cable_for_a_card(file.path, file.content.decode()))
            target.chmod(file.mode)
        for path, text in self._files.items():
            (upper / path).parent.mkdir(parents=True, exist_ok=True)
            (upper / path).write_text(text)
        drop_in = upper / "etc/systemd/system/systemd-udev-trigger.service.d"
        drop_in.mkdir()
        (drop_in / "lab.conf").write_text(TRIGGER)
        (upper / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        (upper / "etc/hostname").write_text("lab\n")
        groups = (self._lower / "etc/group").read_text()
        (upper / "etc/group").write_text(groups + "network-consent:x:861:\n")

    def _resolved(self) -> Resolved:
        profile = self._folder / "lab.yaml"
        options = "".join(f"    {name}: {value}\n" for name, value in self._options.items())
        text = "version: 1\nname: lab\ncomponents:\n  debian-base: {}\n  firewall: {}\n"
        profile.write_text(f"{text}  network-identity:\n{options}{self._beside}")
        reader = SourceFolders([COMPONENTS_FOLDER.parents[1], self._folder])
        resolution = resolve(profile, load_catalog([COMPONENTS_FOLDER], reader), reader, "image")
        assert resolution.resolved is not None, resolution.diagnostics
        return resolution.resolved

    @contextmanager
    def _booted(self) -> Iterator[None]:
        enabled = [UNITS[self._options["manager"]], "gnoppix-firewall.service", *self._units]
        if self._options.get("consent") == "on":
            enabled.append("gnoppix-network-consent.socket")
        masked = [each for each in (*UNITS.values(), "tor.service") if each not in enabled]
        command = (
            *(*LEASH, "unshare", "--mount", "--propagation=private", "--"),
            *self._near.command("sh", "-c", BOOT, "sh", self._lower, self._folder),
            *(*enabled, "--", *masked, "systemd-networkd-wait-online.service"),
        )
        with (self._folder / "console.log").open("wb") as log:
            container = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=CLEAN_ENVIRONMENT
            )
            try:
                self._leader = self._await_leader(container.pid)
                manager = UNITS[self._options["manager"]]
                wait_until(lambda: self.is_active(manager), manager, BOOT_TIMEOUT_S)
                wait_until(lambda: self.is_active("systemd-udevd"), "udev", BOOT_TIMEOUT_S)
                yield
            finally:
                # A container outlives an nspawn that is killed, but not its own first process.
                for child in _children_of(container.pid):
                    os.kill(child, signal.SIGKILL)
                container.kill()
                container.wait()

    def _await_leader(self, nspawn: int) -> int:
        def find() -> list[int]:
            known = _children_of(nspawn)
            return [pid for pid in known if Path(f"/proc/{pid}/comm").read_text() == "systemd\n"]

        wait_until(lambda: bool(find()), "the container", BOOT_TIMEOUT_S)
        return find()[0]

    def _carry(self, card: socket.socket) -> None:
        """Carry frames between the cable and the network until the cable goes."""
        guest = self.lan.guest_end
        rest = b""
        with card, suppress(OSError):
            while True:
                ready, _, _ = select.select([card, guest], [], [], 1.0)
                if card in ready:
                    frame, sender = card.recvfrom(1 << 16)
                    if sender[2] != socket.PACKET_OUTGOING:
                        self.frames.append(frame)
                        guest.sendall(LENGTH.pack(len(frame)) + frame)
                if guest in ready:
                    said = guest.recv(1 << 16)
                    if not said:
                        return
                    rest += said
                    while len(rest) >= LENGTH.size:
                        end = LENGTH.size + LENGTH.unpack_from(rest)[0]
                        if len(rest) < end:
                            break
                        card.send(rest[LENGTH.size : end])
                        rest = rest[end:]


@dataclass(frozen=True)
class CardShell:
    """The root shell that checks of a running system use."""

    lab: CardContainer

    def run(self, command: str) -> CommandOutcome:
        """Run one shell command to its end."""
        return self.lab.run_shell(command)


@dataclass(frozen=True)
class CardWire:
    """What the card of a container sends, as it arrives at the other end of the cable."""

    lab: CardContainer

    def frames_during(self, action: Callable[[], object]) -> list[bytes]:
        """Give what arrived while the action ran, and for a second after it."""
        already_arrived = len(self.lab.frames)
        action()
        time.sleep(1)
        return self.lab.frames[already_arrived:]

    def sent_during(self, action: Callable[[], object]) -> list[bytes]:
        """Give the same: nobody else sends from that end."""
        return self.frames_during(action)


def make_card_root() -> Path:
    """Give the tree that both network managers are in."""
    return make_lab_root((*PACKAGES, "network-manager"))


def wait_until(is_true: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    """Wait for something that takes its time."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, f"{what}: not in {timeout_s:.0f} s"
        time.sleep(0.1)


def _children_of(process: int) -> list[int]:
    return [
        int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


def _with_a_cable_for_a_card(path: str, text: str) -> str:
    name = Path(path).name
    if name.endswith(".rules"):
        assert IS_VIRTUAL in text
        return text.replace(IS_VIRTUAL, "")
    if name in {"10-gnoppix.link", "10-gnoppix.network"}:
        assert "Kind=!*" in text
        return text.replace("Kind=!*", "Kind=veth")
    return text + VETH_IS_A_CARD if "NetworkManager/conf.d" in path else text

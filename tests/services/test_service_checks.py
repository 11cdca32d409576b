# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of services that need no image: they hold in a container, and fail where it is broken.

A container has no AppArmor and no network card, and its kernel is the host's: what is to be seen
of these is left to the image's own verification.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from container import Container, ContainerShell
from lab_root import make_lab_root
from net_namespace import Namespace, connect, recorded_frames

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, KINDS_FOLDER, load_catalog
from gnoppix_build.checks.context import CheckContext
from gnoppix_build.checks.finding import Finding, Tier
from gnoppix_build.checks.run import run_checks
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.render.configuration import render_files
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.resolve import resolve
from gnoppix_build.targets.vm import GuestHost

pytestmark = pytest.mark.root

PACKAGES = (
    *("ca-certificates", "dbus", "dnscrypt-proxy", "i2pd", "iproute2", "nftables", "openssl"),
    *("procps", "python3-minimal", "systemd", "systemd-resolved", "systemd-sysv", "udev"),
)
PROFILE = """\
version: 1
name: services
components:
  debian-base: {}
  dns: {mode: MODE, servers: [198.51.100.53]}
  firewall: {}
  i2p: {}
  network-identity: {}
  privacy-status: {}
"""
THIEF = """
import socket, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.bind(("127.0.0.1", 53))
    time.sleep(600)
"""
FIREWALL = "gnoppix-firewall.service"
UNITS = {"dot": "systemd-resolved.service", "doh": "dnscrypt-proxy.service"}
STARTED_BY_PACKAGES = (
    *("dnscrypt-proxy.socket", "dnscrypt-proxy.service", "i2pd.service"),
    *("systemd-networkd.service", "systemd-resolved.service"),
)
CHECKED = ("dns", "i2p", "privacy-status")
NOT_IN_A_CONTAINER = {"test_router_is_confined_by_apparmor"}
# There is no card for the network's manager, and its link would change the cable.
LEFT_OUT = ("/etc/systemd/network/", "/etc/udev/")


@dataclass(frozen=True)
class CableWire:
    """What a container sends, recorded at the other end of its cable."""

    far_end: Namespace

    def frames_during(self, action: Callable[[], object]) -> list[bytes]:
        with recorded_frames(self.far_end.listen_on_card("cable")) as frames:
            action()
        return frames

    def sent_during(self, action: Callable[[], object]) -> list[bytes]:
        return self.frames_during(action)


def resolve_services(folder: Path, mode: str) -> Resolved:
    profile = folder / "services.yaml"
    profile.write_text(PROFILE.replace("MODE", mode))
    reader = SourceFolders([folder, COMPONENTS_FOLDER, KINDS_FOLDER])
    resolution = resolve(profile, load_catalog([COMPONENTS_FOLDER], reader), reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    return resolution.resolved


def set_up(container: Container, resolved: Resolved) -> None:
    """Bring the profile's users, files and units into the system, and start what it wants."""
    users = {
        each.name: each.uid
        for component in resolved.components
        for each in component.manifest.users
        if component.holds(each.when)
    }
    container.run("systemctl", "stop", *STARTED_BY_PACKAGES)
    for name, uid in users.items():
        script = 'getent group "$1" || groupadd -r "$1"; groupmod -g "$2" "$1"; '
        script += 'getent passwd "$1" || useradd -r -g "$1" "$1"; usermod -u "$2" -g "$1" "$1"'
        container.run("sh", "-c", script, "sh", name, str(uid))
    container.run("chown", "-R", "i2pd:i2pd", "/var/lib/i2pd")
    reader = SourceFolders([COMPONENTS_FOLDER, KINDS_FOLDER])
    files = render_files(resolved, reader)
    container.put([each for each in files if not each.path.startswith(LEFT_OUT)])
    container.run("systemd-tmpfiles", "--create", "--prefix=/run")
    units = [part.units for each in resolved.components for part in each.contributions]
    for verb, names in (
        ("mask", [name for each in units for name in each.mask]),
        ("disable", [name for each in units for name in each.disable]),
    ):
        container.run("systemctl", verb, "--now", *names)
    enabled = [name for each in units for name in each.enable]
    container.run("systemctl", "enable", *enabled)
    for name in sorted(enabled, key=lambda each: each != FIREWALL):
        done = container.try_run("systemctl", "restart", name)
        assert done.returncode == 0, container.run("journalctl", "--lines=30", "--no-pager")


@pytest.fixture(params=UNITS)
def mode(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@dataclass(frozen=True)
class System:
    container: Container
    resolved: Resolved
    far_end: Namespace

    def check(self, tier: Tier) -> list[Finding]:
        files = {
            each.name: each.folder / f"check_{each.name.replace('-', '_')}.py"
            for each in self.resolved.components
            if each.name in CHECKED
        }
        options: Mapping[str, Mapping[str, object]] = {
            each.name: each.options for each in self.resolved.components
        }
        context = CheckContext(
            GuestHost(ContainerShell(self.container)),
            options=options,
            policy=compile_policy(self.resolved),
            profile=self.resolved,
            wire=CableWire(self.far_end),
        )
        return run_checks(files, tier, context)


@pytest.fixture
def system(mode: str, tmp_path: Path) -> Iterator[System]:
    root = make_lab_root(PACKAGES)
    with (
        Namespace() as far_end,
        Namespace() as network,
        Container(root, tmp_path / "container", network) as container,
    ):
        connect(network, "cable0", far_end, "cable")
        network.run("ip", "address", "add", "198.51.100.10/24", "dev", "cable0")
        network.run("ip", "route", "add", "default", "via", "198.51.100.53")
        far_end.run("ip", "address", "add", "198.51.100.53/24", "dev", "cable")
        # The devices of this network, not those of the one that nspawn was started in.
        container.run("mount", "-t", "sysfs", "sysfs", "/mnt")
        container.run("mount", "--bind", "/mnt/class/net", "/sys/class/net")
        resolved = resolve_services(tmp_path, mode)
        for component in resolved.components:
            for part in component.contributions:
                for key, value in part.sysctl.items():
                    network.set(key.removeprefix("net.").replace(".", "/"), value)
        set_up(container, resolved)
        yield System(container, resolved, far_end)


def failures(findings: list[Finding]) -> dict[str, str]:
    return {
        each.check: each.evidence
        for each in findings
        if each.outcome == "fail" and each.check not in NOT_IN_A_CONTAINER
    }


def test_checks_hold_and_fail_where_the_system_is_broken(system: System, mode: str) -> None:
    assert failures(system.check("static")) == {}
    assert failures(system.check("running")) == {}
    # Root takes the port of the resolver, which was stopped.
    system.container.run("systemctl", "stop", UNITS[mode])
    system.container.run("sh", "-c", 'python3 -c "$1" > /dev/null 2>&1 &', "sh", THIEF)
    found = failures(system.check("running")).keys()
    assert found == {"test_port_53_has_one_owner", "test_system_is_protected"}
    system.container.run("nft", "flush", "ruleset")
    found = failures(system.check("running")).keys()
    assert found == {
        "test_a_foreign_server_cannot_be_asked",
        "test_port_53_has_one_owner",
        "test_system_is_protected",
    }

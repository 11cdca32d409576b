# SPDX-License-Identifier: GPL-3.0-or-later
"""What the suite's own tools say of every case's units and AppArmor profiles, without a boot.

Units of packages are taken out of these: what a component writes lies over them.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from chroot import Chroot
from lab_root import PACKAGES, lock_packages, make_lab_root
from test_components import CASES, resolve_profile, write_profile

from gnoppix_build.cli.session import cache_folder
from gnoppix_build.effects import pool
from gnoppix_build.effects.apt_mirrors import host_mirrors
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.model import PolicyService
from gnoppix_build.render.configuration import render_configuration

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
WITH_UNITS = [
    case for case in CASES if "services:" in (case.parents[1] / "component.yaml").read_text()
]
TAKEN_APART = (
    "apparmor",
    "chrony",
    "i2pd",
    "network-manager",
    "openssh-server",
    "systemd-resolved",
)
SYSTEM_UNITS = "/etc/systemd/system/"
PACKAGED_UNITS = "/usr/lib/systemd/system"
OVERALL = re.compile(r"Overall exposure level for (\S+): (\d+)\.(\d)")
SLACK_TENTHS = 4
"""What a declared exposure may be above the measured one: a profile may make it a bit worse."""


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Chroot:
    """Give the suite's root with what is in the packages laid over it; nothing is installed."""
    folder = tmp_path_factory.mktemp("tools")
    for name in ("work", "changes/upper"):
        (folder / name).mkdir(parents=True)
    cache = cache_folder()
    locked = lock_packages((*PACKAGES, *TAKEN_APART), cache).tools.packages
    wanted = [package for package in locked if package.name in TAKEN_APART]
    pool.fetch(wanted, host_mirrors(None), cache / "pool", folder / "fetch.log")
    for package in wanted:
        archive = pool.find(package, cache / "pool")
        subprocess.run(("dpkg-deb", "--extract", archive, folder / "changes/upper"), check=True)
    return Chroot(make_lab_root(), folder / "changes", folder / "work")


def loadable(unit: str) -> str:
    """Give the unit, or one of a template's units."""
    return unit.replace("@.", "@audit.")


def write_units(case: Path, tools: Chroot, scratch: Path) -> tuple[Path, list[PolicyService]]:
    """Write a root with a case's units and those of packages; give it, and what is declared."""
    resolved = resolve_profile(write_profile(case, scratch))
    root = tools.work / f"{case.parents[1].name}-{case.name}"
    for file in render_configuration(resolved, SourceFolders([ROOT])):
        if file.path.startswith(SYSTEM_UNITS):
            place = root / file.path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.content)
    own = case.parents[1].name
    services = [each for each in compile_policy(resolved).services if each.component == own]
    for service in services:
        for base in (tools.tree, tools.changes / "upper"):
            packaged = base / PACKAGED_UNITS.lstrip("/") / service.unit
            if packaged.is_file():
                place = root / PACKAGED_UNITS.lstrip("/") / service.unit
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(packaged, place)
    return root, services


def measure(root: Path, services: list[PolicyService], tools: Chroot) -> dict[str, int]:
    """Let systemd-analyze judge units: unit -> tenths."""
    names = {loadable(service.unit): service.unit for service in services}
    inside = f"/mnt/{root.name}"
    said = tools.run(
        *("systemd-analyze", "security", "--offline=true", "--no-pager", f"--root={inside}"),
        *names,
    )
    return {
        names[name]: int(whole) * 10 + int(tenth) for name, whole, tenth in OVERALL.findall(said)
    }


@pytest.mark.parametrize("case", WITH_UNITS, ids=lambda case: f"{case.parents[1].name}-{case.name}")
def test_units_are_exposed_as_declared(case: Path, tools: Chroot, tmp_path: Path) -> None:
    """Neither more, nor so much less that the declaration tells nothing."""
    root, services = write_units(case, tools, tmp_path)
    if not services:
        pytest.skip("with these options it has no unit of its own")
    found = measure(root, services, tools)
    declared = {service.unit: service.exposure for service in services}
    assert found.keys() == declared.keys()
    unlike = {
        unit: f"{tenths} tenths; declared {declared[unit]}"
        for unit, tenths in found.items()
        if not tenths <= declared[unit] <= tenths + SLACK_TENTHS
    }
    assert unlike == {}


def test_apparmor_profiles_are_understood(tools: Chroot) -> None:
    """Every profile of every case is compiled by the suite's parser; none is loaded."""
    profiles = tools.work / "profiles"
    profiles.mkdir()
    for case in CASES:
        for profile in sorted((case / "expected/etc/apparmor.d").glob("*")):
            shutil.copy(profile, profiles / f"{case.parents[1].name}-{case.name}-{profile.name}")
    written = sorted(path.name for path in profiles.iterdir())
    assert written
    parse = ("apparmor_parser", "--skip-kernel-load", "--skip-read-cache", "--skip-cache")
    said = tools.run(*parse, "--names", *(f"/mnt/profiles/{name}" for name in written))
    assert len(said.split()) >= len(written), said
    tools.run(*parse, *(f"/mnt/profiles/{name}" for name in written))


def test_apparmor_profile_with_a_mistake_is_none(tools: Chroot) -> None:
    (tools.work / "mistake").write_text("profile mistake /bin/true {\n  /etc/passwd q,\n}\n")
    with pytest.raises(AssertionError, match="syntax error"):
        tools.run("apparmor_parser", "--skip-kernel-load", "--skip-cache", "/mnt/mistake")

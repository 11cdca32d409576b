# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech, images and texts are worked on in a booted container, by our units and sandbox."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from container import Container, ContainerShell
from lab_root import make_lab_root
from net_namespace import Namespace

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.checks.context import CheckContext
from gnoppix_build.checks.run import run_checks
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.render.render import render
from gnoppix_build.report.words import score
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.resolve import resolve
from gnoppix_build.targets.vm import GuestHost

pytestmark = pytest.mark.root

COMPONENT = COMPONENTS_FOLDER / "recognition"
PACKAGES = ("dbus", "procps", "systemd-sysv", "udev")
PROFILE = "version: 1\nname: lab\ncomponents: {recognition: {}}\n"


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    profile = tmp_path_factory.mktemp("profile") / "lab.yaml"
    profile.write_text(PROFILE)
    reader = SourceFolders([profile.parent, PACKAGE_FOLDER])
    resolution = resolve(profile, load_catalog([COMPONENTS_FOLDER], reader), reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    return resolution.resolved


@pytest.fixture(scope="module")
def machine(resolved: Resolved, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    tree = render(resolved, None, {}, SourceFolders([PACKAGE_FOLDER]))
    work = tmp_path_factory.mktemp("machine")
    files = work / "files"
    for file in tree.configuration:
        place = files / file.path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.content)
        place.chmod(file.mode)
    (files / "etc/sysusers.d").mkdir(parents=True)
    (files / "etc/sysusers.d/lab.conf").write_text("".join(tree.sysusers.values()))
    wants = files / "etc/systemd/system/sockets.target.wants"
    wants.mkdir()
    for socket in (files / "etc/systemd/system").glob("*.socket"):
        (wants / socket.name).symlink_to(f"../{socket.name}")
    root = make_lab_root((*PACKAGES, *tree.packages["packages"]))
    with Namespace() as network, Container(Path(f"{files}:{root}"), work / "run", network) as each:
        yield each
    shutil.rmtree(work)


def test_checks_hold_in_a_container(resolved: Resolved, machine: Container) -> None:
    options = {each.name: each.options for each in resolved.components}
    context = CheckContext(
        GuestHost(ContainerShell(machine)), options, compile_policy(resolved), resolved
    )
    found = run_checks({"recognition": COMPONENT / "check_recognition.py"}, "running", context)
    assert len(found) == 7
    assert {each.check: each.evidence for each in found if each.outcome != "pass"} == {}


def test_exposure_is_at_most_what_is_declared(resolved: Resolved, machine: Container) -> None:
    for service in compile_policy(resolved).services:
        unit = service.unit.replace("@.", "@x.")
        said = machine.run("systemd-analyze", "security", "--no-pager", unit)
        exposure = float(said.rsplit("Overall exposure level for", 1)[1].split(":")[1].split()[0])
        assert exposure <= float(score(service.exposure)), said

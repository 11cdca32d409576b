# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a profile as Debian packages, on a machine: to come, to change, to go."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench import PROJECT, Bench
from build_deb import LINTIAN, build_dependencies
from chroot import Chroot
from lab_root import make_lab_root
from machine_container import (
    OF_A_MACHINE,
    Machine,
    booted,
    declared_packages,
    offer_packages,
)
from machine_state import State, difference, look_at

from gnoppix_build.app.verify import check_tree, plan_checks
from gnoppix_build.cli import session
from gnoppix_build.report.finding import Finding
from gnoppix_build.targets.tree import TreeHost

pytestmark = pytest.mark.root

PROFILE = "hardened-server"
ALL = f"gnoppix-{PROFILE}"
CHANGES = {
    "time: {source: tor}": "time: {source: nts}",
    # What Tor does not carry would go nowhere.
    "    mode: transparent": "    mode: socks",
}
APT = (
    *("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes", "--quiet=2"),
    *("-o", "Dpkg::Options::=--force-unsafe-io"),
    # The profile has apt look at onion services alone.
    *("-o", "Dir::Etc::SourceParts=/etc/apt/sources.list.d"),
)
SOURCE = "deb [trusted=yes] file:///beside/debs ./\n"
# Lintian's tag -> why the packages of a profile have it, though none of its errors.
EXPLAINED = {
    "empty-binary-package": "a component may bring dependencies and units of others alone",
    "extended-description-is-probably-too-short": "it says whose configuration this is; no more",
    "maintainer-script-calls-systemctl": "no helper masks, or starts units of others",
    "no-manual-page": "a component's program explains itself by --help",
    "no-md5sums-control-file": "policy wants none; `verify --host` compares every byte",
    "obsolete-command-in-modprobe.d-file": "`blacklist` loads what is asked for by its name",
    "systemd-service-file-missing-documentation-key": "the image's own unit, byte for byte",
    "systemd-service-file-refers-to-unusual-wantedby-target": "mounts are narrowed at local-fs",
    "unknown-field": "Gnoppix-Digest, by which the next run tells what changed",
    "unused-override": "a drop-in lies where a unit would",
}
TIMER = "etc/systemd/system/gnoppix-time.timer"


@dataclass(frozen=True)
class Provisioned:
    """A machine to which Ansible applied the profile: its state, and what a second run said."""

    state: State
    second_run: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Life:
    """A machine's states as packages came, changed and went."""

    before: State
    installed: State
    changed: State
    removed: State
    purged: State


def succeed(machine: Machine, *command: str) -> str:
    done = machine.run(*command)
    journal = machine.run("journalctl", "-b", "-p", "warning", "--no-pager").stdout
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{journal[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Give the profile, and the same one with options changed."""
    text = (PROJECT / f"profiles/{PROFILE}.yaml").read_text()
    for old, new in CHANGES.items():
        assert old in text
        text = text.replace(old, new)
    changed = tmp_path_factory.mktemp("changed") / f"{PROFILE}.yaml"
    changed.write_text(text)
    return PROFILE, changed


@pytest.fixture(scope="module")
def life(
    bench: Bench, profiles: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Life]:
    """Lead a machine through all that apt does with packages."""
    place = tmp_path_factory.mktemp("debs")
    root = make_machine(place, bench, profiles)
    make_debs(bench, profiles[0], place / "debs")
    with booted(root) as machine:
        succeed(machine, *APT, "update")
        needed = sorted(declared_packages(place / "rendered"))
        succeed(machine, *APT, "install", "--no-install-recommends", *needed)
        (root / "etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
        suites = packages_of(machine)
        before = look_at(machine, root)
        (root / "etc/apt/sources.list.d/profile.list").write_text(SOURCE)
        succeed(machine, *APT, "update")
        succeed(machine, *APT, "install", "--no-install-recommends", ALL)
        installed = look_at(machine, root)
        make_debs(bench, profiles[1], place / "debs")
        succeed(machine, *APT, "update")
        succeed(machine, *APT, "upgrade", "--with-new-pkgs", "--no-install-recommends")
        changed = look_at(machine, root)
        ours = succeed(machine, "dpkg-query", "--show", "--showformat=${Package}\n", f"{ALL}*")
        succeed(machine, *APT, "remove", *ours.split())
        removed = look_at(machine, root)
        succeed(machine, *APT, "purge", *ours.split())
        # There can be one program for the time: the suite's packages shall be as they were.
        now = packages_of(machine)
        succeed(machine, *APT, "purge", *sorted(now - suites))
        succeed(machine, *APT, "install", "--no-install-recommends", *sorted(suites - now))
        purged = look_at(machine, root)
    yield Life(before, installed, changed, removed, purged)
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def provisioned(
    bench: Bench, profiles: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provisioned]:
    """Apply the profile to a machine by plain ansible-playbook."""
    place = tmp_path_factory.mktemp("provisioned")
    root = make_machine(place, bench, profiles)
    with booted(root) as machine:
        accounts = [
            f"/beside/rendered/sysusers/{file.name}"
            for file in (place / "rendered/sysusers").iterdir()
        ]
        succeed(machine, "systemd-sysusers", *accounts)
        machine.play()
        state = look_at(machine, root)
        second_run = machine.play()
        resolved = session.require_profile(PROFILE, (), "machine")
        findings = check_tree(plan_checks(resolved), TreeHost(root))
    yield Provisioned(state, second_run, tuple(findings))
    shutil.rmtree(place)


def packages_of(machine: Machine) -> set[str]:
    shown = "--showformat=${db:Status-Abbrev} ${Package}\n"
    lines = succeed(machine, "dpkg-query", "--show", shown).splitlines()
    return {line.split()[1] for line in lines if line.startswith("ii")}


def make_machine(place: Path, bench: Bench, profiles: tuple[str | Path, ...]) -> Path:
    """Give a machine with an archive of what both profiles need, and the first one rendered."""
    for profile, name in zip(profiles, ("rendered", "rendered-changed"), strict=True):
        done = bench.run("render", profile, "--target", "machine", "-o", place / name)
        assert done.status == 0, done.talk
    root = place / "machine"
    subprocess.run(("cp", "-a", make_lab_root(OF_A_MACHINE), root), check=True)
    trees = (place / "rendered", place / "rendered-changed")
    offer_packages(set().union(*(declared_packages(tree) for tree in trees)), root)
    return root


def make_debs(bench: Bench, profile: str | Path, folder: Path) -> None:
    done = bench.run("debs", profile, "-o", folder)
    assert done.status == 0, done.talk


def test_second_run_of_ansible_changes_nothing(provisioned: Provisioned) -> None:
    assert "changed=0" in provisioned.second_run
    assert "failed=0" in provisioned.second_run


def test_machine_passes_the_static_checks(provisioned: Provisioned) -> None:
    assert [each for each in provisioned.findings if each.outcome == "fail"] == []
    assert len([each for each in provisioned.findings if each.outcome == "pass"]) > 5


def test_debs_bring_what_ansible_brings(life: Life, provisioned: Provisioned) -> None:
    state = provisioned.state
    assert difference(life.installed.files, state.files) == {}
    assert difference(life.installed.accounts, state.accounts) == {}
    assert difference(life.installed.unit_files, state.unit_files) == {}
    assert difference(life.installed.units, state.units) == {}


def test_upgraded_debs_follow_the_profile(life: Life) -> None:
    changed = difference(life.installed.files, life.changed.files)
    assert TIMER in life.installed.files
    assert TIMER not in life.changed.files
    assert "etc/gnoppix/firewall.nft" in changed
    assert life.installed.unit_files["gnoppix-time.timer"] == "enabled"
    assert "gnoppix-time.timer" not in life.changed.unit_files
    assert life.changed.unit_files["chrony.service"] == "enabled"


def test_removed_debs_leave_files_of_a_person_and_no_unit_at_work(life: Life) -> None:
    masked = {unit for unit, state in life.removed.unit_files.items() if state == "masked"}
    assert masked == {unit for unit, state in life.before.unit_files.items() if state == "masked"}
    assert life.removed.unit_files["gnoppix-firewall.service"] == "disabled"
    assert "gnoppix-firewall.service" in life.installed.units
    assert "gnoppix-firewall.service" not in life.removed.units
    assert "usr/lib/gnoppix/egress-chain" in life.installed.files
    assert "usr/lib/gnoppix/egress-chain" not in life.removed.files
    assert "etc/gnoppix/firewall.nft" in life.removed.files


def test_purged_debs_leave_nothing(life: Life) -> None:
    assert difference(life.before.files, life.purged.files) == {}
    assert difference(life.before.unit_files, life.purged.unit_files) == {}


def test_lintian_finds_in_debs_what_is_explained_and_nothing_else(
    bench: Bench, tmp_path: Path
) -> None:
    make_debs(bench, PROFILE, tmp_path / "work")
    tree = make_lab_root(build_dependencies(PROJECT / "debian/control"))
    root = Chroot(tree, tmp_path / "changes", tmp_path / "work")
    said = root.run("sh", "-c", f"{' '.join(LINTIAN)} /mnt/*.deb")
    # SEVERITY: PACKAGE: TAG, and what it is about. A note, `N`, is of no package.
    found = re.findall(r"^([A-MO-Z]): \S+: (\S+)(.*)$", said, re.MULTILINE)
    assert [each for each in found if each[0] == "E" or each[1] not in EXPLAINED] == []
    assert {tag for _, tag, _ in found} == EXPLAINED.keys()

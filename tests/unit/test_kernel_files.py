# SPDX-License-Identifier: GPL-3.0-or-later
"""What files tell the kernel: the static checks of `hardening`, on trees that undo it or not."""

from pathlib import Path

import pytest

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, KINDS_FOLDER, load_catalog
from gnoppix_build.checks.context import CheckContext
from gnoppix_build.checks.run import run_checks
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.render.configuration import render_configuration
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.resolve import resolve
from gnoppix_build.targets.tree import TreeHost

FILE = COMPONENTS_FOLDER / "hardening" / "check_hardening.py"
SETTINGS = "test_files_tell_the_kernel_what_is_declared"
MODULES = "test_files_block_the_modules_that_are_declared"
PROFILE = """\
version: 1
name: hard
components:
  debian-base: {}
  firewall: {}
  hardening: {level: hardened}
  network-identity: {}
"""
OURS = "60-gnoppix-hardening.conf"


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    file = tmp_path_factory.mktemp("profile") / "hard.yaml"
    file.write_text(PROFILE)
    reader = SourceFolders([file.parent, COMPONENTS_FOLDER, KINDS_FOLDER])
    resolution = resolve(file, load_catalog([COMPONENTS_FOLDER], reader), reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    return resolution.resolved


@pytest.fixture
def tree(profile: Resolved, tmp_path: Path) -> Path:
    for file in render_configuration(profile, SourceFolders([COMPONENTS_FOLDER, KINDS_FOLDER])):
        put(tmp_path, file.path, file.content.decode())
    # As Debian has them: read before ours, or of other settings.
    put(tmp_path, "/usr/lib/sysctl.d/50-default.conf", "kernel.sysrq = 438\n-net.ipv4.x\n")
    put(tmp_path, "/usr/lib/modprobe.d/aliases.conf", "# none\nalias net-pf-3 off\n")
    return tmp_path


def put(tree: Path, path: str, text: str) -> None:
    target = tree / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def failing(tree: Path, profile: Resolved) -> set[str]:
    context = CheckContext(TreeHost(tree), profile=profile)
    findings = run_checks({"hardening": FILE}, "static", context)
    assert {each.check for each in findings} >= {SETTINGS, MODULES}
    assert "skip" not in {each.outcome for each in findings}, findings
    return {each.check for each in findings if each.outcome == "fail"}


def test_tree_of_the_profile_tells_the_kernel_what_is_declared(
    tree: Path, profile: Resolved
) -> None:
    assert failing(tree, profile) == set()


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        pytest.param(
            "/etc/sysctl.d/99-local.conf", "kernel.kptr_restrict=0\n", {SETTINGS}, id="later"
        ),
        pytest.param(
            "/usr/lib/sysctl.d/99-vendor.conf",
            "-kernel/kptr_restrict = 0\n",
            {SETTINGS},
            id="later-in-another-spelling",
        ),
        pytest.param(f"/usr/lib/sysctl.d/{OURS}", "kernel.kptr_restrict=0\n", set(), id="hidden"),
        pytest.param(
            "/etc/sysctl.d/10-early.conf", "kernel.kptr_restrict=0\n", set(), id="earlier"
        ),
        pytest.param(f"/etc/sysctl.d/{OURS}", "# empty\n", {SETTINGS}, id="emptied"),
        pytest.param(
            "/usr/lib/modprobe.d/10-vendor.conf",
            "install cifs /sbin/modprobe --ignore-install cifs\n",
            {MODULES},
            id="earlier-program",
        ),
        pytest.param(
            "/usr/lib/modprobe.d/99-vendor.conf",
            "install cifs /sbin/modprobe --ignore-install cifs\n",
            set(),
            id="later-program",
        ),
        pytest.param(f"/etc/modprobe.d/{OURS}", "# empty\n", {MODULES}, id="modules-emptied"),
    ],
)
def test_file_that_undoes_a_declaration_is_told(
    tree: Path, profile: Resolved, path: str, text: str, expected: set[str]
) -> None:
    put(tree, path, text)
    assert failing(tree, profile) == expected


def test_masked_file_is_told(tree: Path, profile: Resolved) -> None:
    ours = tree / "etc/sysctl.d" / OURS
    ours.unlink()
    ours.symlink_to("/dev/null")
    assert failing(tree, profile) == {SETTINGS}

# SPDX-License-Identifier: GPL-3.0-or-later
"""The tool as a Debian package and as a wheel: both do what this checkout does."""

import filecmp
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bench import PROJECT
from build_deb import copy_source
from chroot import Chroot
from debian.deb822 import PkgRelation
from debian.debfile import DebFile
from lab_root import make_lab_root

from gnoppix_build.cli import session
from gnoppix_build.effects.apt_mirrors import KEYRING, host_mirrors
from gnoppix_build.effects.results import sha256_of
from gnoppix_build.lock.text import parse_lock
from gnoppix_build.lock.wanted import is_current

pytestmark = pytest.mark.root

DEB = "gnoppix-build_0.1.0_all.deb"
# Shells to complete in, and what signs: the package only suggests it.
BESIDES = ("fish", "sqop", "zsh")
# Neither the place of a build may matter, nor who builds it, nor when and in which language.
OTHERWISE = (
    *("--folder-name", "another-name", "--no-lintian", "--set", "TZ=Pacific/Kiritimati"),
    *("--set", "LC_ALL=C", "--set", "USER=somebody", "--set", "DEB_BUILD_OPTIONS=nocheck"),
)
# Between them they have most components.
COMPARED = ("hardened-server", "vpn-workstation")
PROFILES = sorted(path.stem for path in (PROJECT / "profiles").glob("*.yaml"))


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give the package, built twice."""
    folder = tmp_path_factory.mktemp("debs")
    with ThreadPoolExecutor() as builds:
        first = builds.submit(build_deb, folder / "first")
        second = builds.submit(build_deb, folder / "second", *OTHERWISE)
        return first.result(), second.result()


def build_deb(folder: Path, *arguments: str) -> Path:
    here = {**os.environ, "PYTHONPATH": os.pathsep.join((str(PROJECT), "tests/lan"))}
    program: tuple[str | Path, ...] = (
        sys.executable,
        "release/build_deb.py",
        "--output",
        folder,
        *arguments,
    )
    done = subprocess.run(program, cwd=PROJECT, env=here, check=False, capture_output=True)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return folder / DEB


@pytest.fixture(scope="module")
def installed(debs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Chroot:
    """Give a root of what the package depends on and little besides, with the package in it."""
    with DebFile(str(debs[0])) as deb:
        relations = PkgRelation.parse_relations(deb.debcontrol()["Depends"])
    needed = {relation[0]["name"] for relation in relations}
    folder = tmp_path_factory.mktemp("installed")
    shutil.copytree(PROJECT / "debian/tests", folder / "work/debian/tests")
    shutil.copytree(PROJECT / "profiles", folder / "work/profiles")
    shutil.copy(debs[0], folder / "work")
    tree = make_lab_root(tuple(sorted({*needed, *BESIDES})))
    root = Chroot(tree, folder / "changes", folder / "work")
    mirrors = host_mirrors(None)
    source = root.work / "archive.list"
    source.write_text(f"deb [signed-by={KEYRING}] {mirrors.main} trixie main\n")
    settings = root.work / "90host"
    settings.write_text("".join(f'{name} "{value}";\n' for name, value in mirrors.options.items()))
    root.run("cp", "/mnt/archive.list", "/etc/apt/sources.list.d/")
    root.run("cp", "/mnt/90host", "/etc/apt/apt.conf.d/")
    root.run("dpkg", "--install", f"/mnt/{DEB}")
    return root


@pytest.fixture(scope="module")
def rendered_here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give profiles rendered, for a machine, by the command of this checkout."""
    folder = tmp_path_factory.mktemp("here")
    for profile in COMPARED:
        target = ("--target", "machine", "-o", folder / profile)
        command = (sys.executable, "-m", "gnoppix_build", "render", profile, *target)
        subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    return folder


def test_deb_is_the_same_whenever_and_wherever_it_is_built(debs: tuple[Path, Path]) -> None:
    first, second = debs
    assert sha256_of(first) == sha256_of(second)


def test_deb_needs_what_it_says_and_does_what_the_checkout_does(
    installed: Chroot, rendered_here: Path
) -> None:
    """Its own test, as autopkgtest runs it: each profile is validated, rendered, planned."""
    said = installed.run("env", "--chdir=/mnt", "debian/tests/shipped-profiles")
    verbs = ("validate", "render", "plan")
    done = [line for line in said.splitlines() if line.startswith(tuple(f"{v} " for v in verbs))]
    assert done == [f"{verb} {profile}" for profile in PROFILES for verb in verbs]
    for profile in COMPARED:
        target = ("--target", "machine", "-o", f"/mnt/trees/{profile}")
        installed.run("build-image", "render", profile, *target)
    assert_same_trees(installed.work / "trees", rendered_here)


def test_deb_makes_a_lock(installed: Chroot) -> None:
    installed.run("build-image", "lock", "minimal", "-o", "/mnt/minimal.lock")
    lock = parse_lock((installed.work / "minimal.lock").read_bytes(), "minimal.lock")
    resolved = session.require_profile("minimal", ())
    tools = tuple(lock.tools.wanted)
    assert is_current(lock, resolved, tools)
    assert "tor" in {package.name for package in lock.packages.packages}


def test_deb_brings_a_page_for_the_command_its_verbs_and_the_formats(installed: Chroot) -> None:
    listed = installed.run("dpkg", "--listfiles", "gnoppix-build").splitlines()
    pages = {Path(path).name for path in listed if "/man/" in path and path.endswith(".gz")}
    verbs = {path.stem for path in (PROJECT / "gnoppix_build/cli/verbs").glob("[a-z]*.py")}
    formats = {"gnoppix-profile.5.gz", "gnoppix-component.5.gz"}
    assert pages == {"build-image.1.gz", *(f"build-image-{verb}.1.gz" for verb in verbs), *formats}


BASH = """
source /usr/share/bash-completion/completions/build-image
COMP_WORDS=(build-image '') COMP_CWORD=1
_build_image_completion build-image
printf '%s\\n' "${COMPREPLY[@]}"
"""
# What an editor of lines gives a function stands here as parameters; where it would show its
# answer, that is printed.
ZSH = """
autoload -Uz compinit && compinit -u -d /tmp/dump
compadd() { exit 1 }
_describe() { print -rl -- "${(@P)3}" }
words=(build-image '') CURRENT=2
$_comps[build-image]
"""


@pytest.mark.parametrize(
    ("shell", "script"),
    [
        (("bash",), BASH),
        (("fish",), 'complete --do-complete "build-image "'),
        (("zsh", "-f"), ZSH),
    ],
    ids=("bash", "fish", "zsh"),
)
def test_deb_completes_every_verb_in(
    installed: Chroot, shell: tuple[str, ...], script: str
) -> None:
    said = installed.run(*shell, "-c", script)
    offered = {re.split(r"[\t:]", line)[0] for line in said.splitlines()}
    verbs = {path.stem for path in (PROJECT / "gnoppix_build/cli/verbs").glob("[a-z]*.py")}
    assert offered == verbs


# Argument: the certificate. Apt looks at that one source, and remembers nothing of before.
UPDATE = """
rm -rf /var/lib/apt/lists
echo "deb [signed-by=$1] file:/mnt/debs ./" > /mnt/signed.list
exec apt-get -o Dir::Etc::SourceList=/mnt/signed.list -o Dir::Etc::SourceParts=- \\
    -o APT::Sandbox::User=root --error-on=any update 2>&1
"""


def test_deb_signs_a_repository_that_apt_believes(installed: Chroot) -> None:
    for name in ("ours", "theirs"):
        installed.run("sh", "-c", f"sqop generate-key {name} > /mnt/{name}.pgp")
        installed.run("sh", "-c", f"sqop extract-cert < /mnt/{name}.pgp > /mnt/{name}.asc")
    installed.run("build-image", "debs", "minimal", "-o", "/mnt/debs", "--key", "/mnt/ours.pgp")
    assert (installed.work / "debs/minimal.asc").exists()
    assert "InRelease" in installed.run("sh", "-c", UPDATE, "sh", "/mnt/debs/minimal.asc")
    refused = installed.run("sh", "-c", f"! ({UPDATE})", "sh", "/mnt/theirs.asc")
    assert "which is needed to verify signature" in refused
    index = installed.work / "debs/Packages"
    index.write_text(index.read_text().replace("Section: admin", "Section: games", 1))
    changed = installed.run("sh", "-c", f"! ({UPDATE})", "sh", "/mnt/debs/minimal.asc")
    assert "Hash Sum mismatch" in changed


def test_deb_leaves_nothing_when_it_is_purged(installed: Chroot) -> None:
    listed = installed.run("dpkg", "--listfiles", "gnoppix-build").splitlines()
    own = [path for path in listed if "gnoppix" in path or "build-image" in path]
    installed.run("dpkg", "--purge", "gnoppix-build")
    left = installed.run(
        "sh", "-c", 'for path; do [ ! -e "$path" ] || echo "$path"; done', "sh", *own
    )
    assert len(own) > 100
    assert left == ""


def test_wheel_does_what_the_checkout_does(rendered_here: Path, tmp_path: Path) -> None:
    """It is installed by pip into an environment of its own, which borrows what it depends on."""
    copy_source(tmp_path / "source")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run_outside(*pip, "wheel", "--no-deps", "-w", tmp_path / "wheel", tmp_path / "source")
    (wheel,) = (tmp_path / "wheel").iterdir()
    own = tmp_path / "own"
    venv.create(own, symlinks=True)
    run_outside(*pip, "--python", own / "bin/python", "install", "--no-deps", wheel)
    packages = next(own.glob("lib/python*/site-packages"))
    (packages / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    for profile in COMPARED:
        target = ("--target", "machine", "-o", tmp_path / "trees" / profile)
        run_outside(own / "bin/build-image", "render", profile, *target)
    assert_same_trees(tmp_path / "trees", rendered_here)


def run_outside(*argv: str | Path) -> None:
    """Run a command that cannot see this checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(argv, cwd="/", env=environment, check=False, capture_output=True)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def assert_same_trees(one: Path, other: Path) -> None:
    names = [
        sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        for root in (one, other)
    ]
    assert len(names[0]) > 100
    assert names[0] == names[1]
    same = filecmp.cmpfiles(one, other, names[0], shallow=False)
    assert same == (names[0], [], [])

# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image debs`, as people type it: the same twice, and new versions of what changed alone."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import package_page
import pytest
from debian.deb822 import Deb822
from empty_lock import make_empty_lock

from gnoppix_build.cli import locks, session

PROJECT = Path(__file__).parents[2]
LATER = 2_000_000_000
PROFILE = """version: 1
name: of-a-test
components:
  debian-base: {}
  memory-hygiene: {zram-percent: 25}
packages: [nano]
"""
WITH_TASKS = PROFILE.replace("packages: [nano]", "  locales: {}")
ALL = ("gnoppix-of-a-test", "gnoppix-of-a-test-debian-base", "gnoppix-of-a-test-memory-hygiene")


def make_debs(
    profile: Path, folder: Path, *, epoch: str = ""
) -> "subprocess.CompletedProcess[str]":
    program = (sys.executable, "-m", "gnoppix_build", "debs", profile, "-o", folder)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    return subprocess.run(
        program, check=False, capture_output=True, text=True, cwd=PROJECT, env=environment
    )


def write_profile(folder: Path, text: str) -> Path:
    path = folder / "of-a-test.yaml"
    path.write_text(text)
    return path


def versions(folder: Path) -> dict[str, str]:
    with (folder / "Packages").open() as index:
        return {each["Package"]: each["Version"] for each in Deb822.iter_paragraphs(index)}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_debs_are_the_same_twice(tmp_path: Path) -> None:
    profile = write_profile(tmp_path, PROFILE)
    for name in ("one", "other"):
        done = make_debs(profile, tmp_path / name)
        assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    files = {f"{name}_0.1.0+1_all.deb" for name in ALL}
    assert contents(tmp_path / "one").keys() == {*files, "Packages", "Release"}


def test_debs_say_that_they_begin_anew_and_are_not_signed(tmp_path: Path) -> None:
    profile = write_profile(tmp_path, PROFILE)
    done = make_debs(profile, tmp_path / "debs")
    anew = (
        f"note: `{tmp_path}/debs` had no packages of `of-a-test`: their versions begin with "
        "0.1.0+1, and a machine that has these from elsewhere takes no change"
    )
    unsigned = f"note: `{tmp_path}/debs` is not signed: --key FILE signs it"
    assert done.stderr.splitlines() == [anew, unsigned]
    assert make_debs(profile, tmp_path / "debs").stderr.splitlines() == [unsigned]
    assert done.stdout.splitlines() == [f"{name} 0.1.0+1" for name in (*ALL[1:], ALL[0])]


def test_debs_that_changed_get_a_higher_version(tmp_path: Path) -> None:
    folder = tmp_path / "debs"
    make_debs(write_profile(tmp_path, PROFILE), folder)
    before = contents(folder)
    make_debs(write_profile(tmp_path, PROFILE), folder)
    assert contents(folder) == before
    make_debs(write_profile(tmp_path, PROFILE.replace("25", "0")), folder)
    assert versions(folder) == dict(zip(ALL, ("0.1.0+2", "0.1.0+1", "0.1.0+2"), strict=True))
    assert len([*folder.glob("*.deb")]) == len(ALL)


def test_debs_leave_packages_of_others_alone(tmp_path: Path) -> None:
    folder = tmp_path / "debs"
    folder.mkdir()
    foreign = folder / "nano_9.0-1_amd64.deb"
    foreign.write_bytes(b"a package of somebody else's")
    make_debs(write_profile(tmp_path, PROFILE), folder)
    assert len([*folder.glob("*.deb")]) == len(ALL) + 1
    make_debs(write_profile(tmp_path, PROFILE.replace("25", "0")), folder)
    assert len([*folder.glob("*.deb")]) == len(ALL) + 1
    assert foreign.read_bytes() == b"a package of somebody else's"


FOREIGN = "Package: nano\nVersion: 9.0-1\nFilename: ./nano_9.0-1_amd64.deb\n"
OWN = "Origin: gnoppix-build\nLabel: of-a-test\n"


@pytest.mark.parametrize(
    ("files", "named", "why"),
    [
        ({"Packages": FOREIGN}, "Packages", "a package of it has no `Gnoppix-Digest`"),
        ({"Packages": "no index\n", "Release": OWN}, "Packages", "it is no index of packages"),
        (
            {"Packages": f"{FOREIGN.replace('./', '../')}Gnoppix-Digest: 0\n", "Release": OWN},
            "Packages",
            "`nano` lies elsewhere: `../nano_9.0-1_amd64.deb`",
        ),
        ({"Release": "Origin: Debian\n"}, "Release", "its `Origin` is not `gnoppix-build`"),
        (
            {"Release": OWN.replace("of-a-test", "another")},
            "Release",
            "it is that of the profile `another`",
        ),
        ({"InRelease": OWN}, "InRelease", "there is no `Release` beside it"),
        ({"Release": "\udcff\n"}, "Release", "it is no text"),
    ],
)
def test_debs_refuse_a_repository_that_is_not_the_profiles(
    files: dict[str, str], named: str, why: str, tmp_path: Path
) -> None:
    folder = tmp_path / "debs"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_bytes(text.encode(errors="surrogateescape"))
    before = contents(folder)
    done = make_debs(write_profile(tmp_path, PROFILE), folder)
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        f"error[repository]: `{folder}/{named}` is not of this profile's repository: {why}",
        "  = hint: write into a folder of the profile's own: -o DIR",
    ]
    assert contents(folder) == before


def test_debs_name_what_a_package_cannot_hold(tmp_path: Path) -> None:
    profile = write_profile(tmp_path, WITH_TASKS)
    done = make_debs(profile, tmp_path / "debs")
    assert done.returncode == 3
    said = "`locales` has tasks for Ansible, which no Debian package can hold"
    assert done.stderr.splitlines() == [
        f"{profile}:6:3: error[tasks-in-package]: {said}",
        "  = hint: leave `locales` out, or apply the profile by Ansible",
    ]
    assert not (tmp_path / "debs").exists()


def test_debs_refuse_payloads_and_say_what_brings_them(tmp_path: Path) -> None:
    text = "version: 1\nname: box\ncomponents:\n  llama-cpp: {}\n  tiny-echo: {}\n"
    profile = write_profile(tmp_path, text)
    done = make_debs(profile, tmp_path / "debs")
    root = "/usr/lib/gnoppix/private-roots/llama-cpp.squashfs"
    model = "/usr/share/gnoppix/models/tiny-echo.gguf"
    assert done.returncode == 3
    said = "and packages hold configuration only"
    assert done.stderr.splitlines() == [
        f"{profile}:4:3: error[payload-in-package]: `llama-cpp` brings `{root}`, {said}",
        "  = hint: leave `llama-cpp` out, or bring the profile by `provision`",
        "",
        f"{profile}:5:3: error[payload-in-package]: `tiny-echo` brings `{model}`, {said}",
        "  = hint: leave `tiny-echo` out, or bring the profile by `provision`",
    ]
    assert not (tmp_path / "debs").exists()


@pytest.mark.parametrize("profile", ["common", "hardened-server", "minimal"])
def test_shell_can_read_every_script(profile: str, tmp_path: Path) -> None:
    make_debs(Path(profile), tmp_path / "debs")
    for deb in (tmp_path / "debs").glob("*.deb"):
        scripts = tmp_path / deb.stem
        subprocess.run(("dpkg-deb", "--control", deb, scripts), check=True)
        for script in {"preinst", "postinst", "prerm", "postrm"} & {
            path.name for path in scripts.iterdir()
        }:
            said = subprocess.run(("sh", "-n", scripts / script), check=False, capture_output=True)
            assert said.stderr.decode() == "", (deb.name, script)


def test_page_of_the_packages_has_the_text_and_what_the_command_wrote() -> None:
    """`./run docs` writes it anew; the bytes of packages follow every change of a component."""
    page = (PROJECT / "docs/packages.md").read_text()
    text, written = page[: len(package_page.TEXT.read_text())], page.splitlines()
    assert text == package_page.TEXT.read_text()
    for suffix in package_page.SHOWN:
        deb = f"debs/gnoppix-{package_page.PROFILE}{suffix}_0.1.0+1_all.deb"
        assert f"    $ dpkg-deb --info {deb}" in written
        assert f"    $ dpkg-deb --contents {deb}" in written


def test_debs_have_the_date_of_an_images_lock_beside_the_profile(tmp_path: Path) -> None:
    """It holds the packages of an image, which are other ones than a machine's."""
    text = PROFILE.replace("components:", "components:\n  identity: {}\n  live-system: {}")
    profile = write_profile(tmp_path, text)
    of_image = make_empty_lock(session.require_profile(str(profile), (), "image"))
    locks.write_lock(replace(of_image, epoch=LATER), profile.with_suffix(".lock"))
    done = make_debs(profile, tmp_path / "debs")
    assert done.returncode == 0, done.stderr
    assert dates_of(tmp_path / "debs") == {LATER}
    make_debs(profile, tmp_path / "dated", epoch="0")
    assert dates_of(tmp_path / "dated") == {0}


@pytest.mark.parametrize("epoch", ["abc", "-1", "1.5", "²", "253402300800"])
def test_debs_refuse_a_date_that_is_none(epoch: str, tmp_path: Path) -> None:
    done = make_debs(write_profile(tmp_path, PROFILE), tmp_path / "debs", epoch=epoch)
    assert done.returncode == 2
    said = f"Error: SOURCE_DATE_EPOCH is `{epoch}`: write seconds since 1970"
    assert done.stderr.splitlines()[-1] == said
    assert not (tmp_path / "debs").exists()


def dates_of(folder: Path) -> set[int]:
    """Read the header of each archive's first member: its date follows the name.

    Source: deb(5), ar(5).
    """
    return {int(deb.read_bytes()[24:36]) for deb in folder.glob("*.deb")}

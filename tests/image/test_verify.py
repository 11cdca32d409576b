# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifying real images, and not verifying one that was changed."""

import shutil
from pathlib import Path

import pytest
from bench import FURTHER, Bench, Built, Verified, wants_all_profiles

from gnoppix_build.catalog.load import check_file_name
from gnoppix_build.cli import session

pytestmark = pytest.mark.root

PARTS_WITHOUT_FOLDER = {"image"}


def expected_parts(profile: str | Path) -> set[str]:
    """Name what a verification looks at: the components with checks, and the image itself."""
    resolved = session.require_profile(str(profile), ())
    return PARTS_WITHOUT_FOLDER | {
        each.name
        for each in resolved.components
        if (each.folder / check_file_name(each.name)).is_file()
    }


def test_image_of_all_services_passes_every_check(verified: Verified) -> None:
    assert verified.faults == []
    assert verified.command.status == 0, verified.command.talk
    assert {name for name, _ in verified.checked} == expected_parts(verified.built.profile)


def test_shipped_profile_passes_every_check(
    bench: Bench, cold_build: Built, shipped_profile: str
) -> None:
    """The tools of the first build are in the store by now.

    UEFI and a hostile network are met by the image of all services, and by each profile in a run
    of all.
    """
    assert cold_build.bench == bench
    tiers = () if wants_all_profiles() else ("static", "boot")
    verified = bench.build(shipped_profile, bench.folder / shipped_profile).verify(*tiers)
    assert verified.faults == []
    assert verified.command.status == 0, verified.command.talk
    assert {name for name, _ in verified.checked} == expected_parts(shipped_profile)


@pytest.mark.skipif(not wants_all_profiles(), reason="in a run of all profiles only")
@pytest.mark.parametrize("profile", FURTHER, ids=lambda path: path.stem)
def test_further_options_pass_every_check(bench: Bench, cold_build: Built, profile: Path) -> None:
    """One boot, from BIOS, shows them; the tools of the first build are in the store by now."""
    assert cold_build.bench == bench
    verified = bench.build(profile, bench.folder / profile.stem).verify("static", "boot")
    assert verified.faults == []
    assert verified.command.status == 0, verified.command.talk
    assert {name for name, _ in verified.checked} == expected_parts(profile)


def test_changed_image_is_refused(cold_build: Built, tmp_path: Path) -> None:
    result = tmp_path / "out"
    shutil.copytree(cold_build.result, result)
    with (result / cold_build.iso.name).open("r+b") as iso:
        iso.seek(100_000_000)
        byte = iso.read(1)
        iso.seek(100_000_000)
        iso.write(bytes((byte[0] ^ 1,)))
    done = cold_build.bench.run("verify", cold_build.profile, "-o", result, "--tier", "static")
    assert done.status == 7
    assert done.talk == (
        f"error[digest]: `{result}/{cold_build.iso.name}` is not what was built: its hash is not "
        "the one in `SHA256SUMS`\n  = hint: build it again: build-image build PROFILE\n"
    )

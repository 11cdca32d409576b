# SPDX-License-Identifier: GPL-3.0-or-later
"""Buildbot with two workers: a worker that is killed loses nothing, and overwrites nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import LOCK, BuildbotBuild, Fleet

from gnoppix_build.effects.results import check_sums

WORKERS = {"near": "near-secret", "far": "far-secret"}
SUCCESS, RETRY = 0, 5  # Source: buildbot.process.results

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet"), WORKERS) as fleet:
        yield fleet


def test_killed_worker_loses_nothing_and_overwrites_nothing(fleet: Fleet) -> None:
    """The build of the killed worker lives on, as on a machine that nobody reaches."""
    (fleet.signals / "slips-the-leash").touch()
    fleet.send_change()
    leftover = fleet.wait_for_one_that("packs")
    (first,) = fleet.builds()
    fleet.kill_worker(first.worker)
    (fleet.signals / "slips-the-leash").unlink()
    assert fleet.wait_for_result(first.number).result == RETRY

    second = fleet.wait_for_one_that("packs", leftover)
    fleet.let_go_on(second)
    (other,) = WORKERS.keys() - {first.worker}
    expected = BuildbotBuild(first.number + 1, SUCCESS, other)
    assert fleet.wait_for_result(expected.number) == expected
    check_sums(fleet.results)
    image = fleet.results / "desk.iso"
    assert image.read_text() == f"packed by {second}\n"
    assert (fleet.results / "desk.lock").read_bytes() == (fleet.folder / LOCK).read_bytes()

    assert Path("/proc", str(leftover)).exists(), "the leftover still runs"
    fleet.let_go_on(leftover)
    assert fleet.wait_for_end_of(leftover).endswith(
        f"error[superseded]: attempt {fleet.attempt_of(expected.number)} took `{fleet.results}` "
        f"over while this one, attempt {fleet.attempt_of(first.number)}, was running; "
        "nothing was put there\n"
        "  = hint: use what that attempt makes\n"
    )
    check_sums(fleet.results)
    assert image.read_text() == f"packed by {second}\n"
    assert sorted(path.name for path in fleet.results.parent.iterdir()) == [".desk.attempt", "desk"]
    fleet.start_worker(first.worker)


def test_verification_of_a_killed_worker_leaves_no_report_on_a_newer_image(fleet: Fleet) -> None:
    """The worker dies after its build, while its image is looked at, and that goes on."""
    for sign in ("slips-the-leash", "holds-verify"):
        (fleet.signals / sign).touch()
    known = fleet.those_that("packs")
    fleet.send_change()
    early = fleet.wait_for_one_that("packs", *known)
    fleet.let_go_on(early)
    leftover = fleet.wait_for_one_that("verifies")
    lost = fleet.builds()[-1]
    assert fleet.results.joinpath("desk.iso").read_text() == f"packed by {early}\n"
    fleet.kill_worker(lost.worker)
    for sign in ("slips-the-leash", "holds-verify"):
        (fleet.signals / sign).unlink()

    second = fleet.wait_for_one_that("packs", *known, early)
    fleet.let_go_on(second)
    assert fleet.wait_for_result(lost.number + 1).result == SUCCESS
    reports = reports_of(fleet)
    assert f"packed by {second}, looked at by " in reports["verify.json"]
    assert reports["verify.pcap"] == f"packed by {second}\n"

    assert Path("/proc", str(leftover)).exists(), "the leftover still runs"
    fleet.let_go_on(leftover)
    assert fleet.wait_for_end_of(leftover).endswith(
        f"error[superseded]: `{fleet.results}` was filled again while its image was verified; "
        "nothing was put there\n"
        "  = hint: verify what is there now: build-image verify PROFILE\n"
    )
    assert reports_of(fleet) == reports
    fleet.start_worker(lost.worker)


def reports_of(fleet: Fleet) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(fleet.results.glob("verify.*"))}


def test_build_dies_with_its_worker_and_waits_when_there_is_none(fleet: Fleet) -> None:
    known = fleet.those_that("packs")
    fleet.send_change()
    lost = fleet.wait_for_one_that("packs", *known)
    number = fleet.builds()[-1].number
    for worker in WORKERS:
        fleet.kill_worker(worker)
    fleet.wait_for_end_of(lost)
    assert fleet.wait_for_result(number).result == RETRY

    fleet.start_worker("far")
    fleet.let_go_on(fleet.wait_for_one_that("packs", *known, lost))
    assert fleet.wait_for_result(number + 1) == BuildbotBuild(number + 1, SUCCESS, "far")
    check_sums(fleet.results)


def test_new_master_goes_on_with_the_results_of_an_old_one(fleet: Fleet, tmp_path: Path) -> None:
    """Its database starts at build 1, and what it builds is put in the place of what was there."""
    assert fleet.builds()[-1].number > 1
    with Fleet(tmp_path, {"near": "near-secret"}, fleet.results) as anew:
        anew.send_change()
        packer = anew.wait_for_one_that("packs")
        anew.let_go_on(packer)
        assert anew.wait_for_result(1) == BuildbotBuild(1, SUCCESS, "near")
    assert (fleet.results / "desk.iso").read_text() == f"packed by {packer}\n"

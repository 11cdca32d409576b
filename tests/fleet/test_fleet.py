# SPDX-License-Identifier: GPL-3.0-or-later
"""Buildbot with two workers: a worker that is killed loses nothing, and overwrites nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import BuildbotBuild, Fleet

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
    leftover = fleet.wait_for_packer()
    (first,) = fleet.builds()
    fleet.kill_worker(first.worker)
    (fleet.signals / "slips-the-leash").unlink()
    assert fleet.wait_for_result(first.number).result == RETRY

    second = fleet.wait_for_packer(leftover)
    fleet.let_go_on(second)
    (other,) = WORKERS.keys() - {first.worker}
    expected = BuildbotBuild(first.number + 1, SUCCESS, other)
    assert fleet.wait_for_result(expected.number) == expected
    check_sums(fleet.results)
    image = fleet.results / "desk.iso"
    assert image.read_text() == f"packed by {second}\n"

    assert Path("/proc", str(leftover)).exists(), "the leftover still runs"
    fleet.let_go_on(leftover)
    assert fleet.wait_for_end_of(leftover).endswith(
        f"error[superseded]: attempt {expected.number} took `{fleet.results}` over while this one, "
        f"attempt {first.number}, was running; nothing was put there\n"
        "  = hint: use what that attempt makes\n"
    )
    check_sums(fleet.results)
    assert image.read_text() == f"packed by {second}\n"
    assert sorted(path.name for path in fleet.results.parent.iterdir()) == [".desk.attempt", "desk"]
    fleet.start_worker(first.worker)


def test_build_dies_with_its_worker_and_waits_when_there_is_none(fleet: Fleet) -> None:
    known = {int(path.name.partition("-")[0]) for path in fleet.signals.glob("*-packs")}
    fleet.send_change()
    lost = fleet.wait_for_packer(*known)
    number = fleet.builds()[-1].number
    for worker in WORKERS:
        fleet.kill_worker(worker)
    fleet.wait_for_end_of(lost)
    assert fleet.wait_for_result(number).result == RETRY

    fleet.start_worker("far")
    fleet.let_go_on(fleet.wait_for_packer(*known, lost))
    assert fleet.wait_for_result(number + 1) == BuildbotBuild(number + 1, SUCCESS, "far")
    check_sums(fleet.results)

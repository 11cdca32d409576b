# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command gives a CI: annotations, and the list of what to build."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from empty_lock import make_empty_lock

from gnoppix_build.cli import build_image, locks, session


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a checkout of somebody's own, with two profiles, to work in."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "profiles"
    folder.mkdir()
    for name in ("desk", "lone"):
        text = f"version: 1\nname: {name}\nextends: [minimal]\n"
        (folder / f"{name}.yaml").write_text(text)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_image, arguments)


def annotate(form: str, profile: str) -> tuple[int, str, str]:
    """Validate, with the exit code that the command makes of what the verb gives back."""
    told = CliRunner().invoke(
        build_image, ("validate", "--format", form, profile), standalone_mode=False
    )
    return told.return_value, told.stderr, told.stdout


def write_lock(profile: str) -> None:
    resolved = session.require_profile(profile, ())
    locks.write_lock(make_empty_lock(resolved), locks.lock_of_build(None, resolved))


def list_builds(*profiles: str) -> list[dict[str, str | None]]:
    document = json.loads(run("matrix", "--format", "json", *profiles).stdout)
    assert document["format_version"] == 1
    listed: list[dict[str, str | None]] = document["builds"]
    return listed


def test_matrix_lists_each_profile_once_in_the_order_given() -> None:
    told = run("matrix", "profiles/lone.yaml", "profiles/desk.yaml", "profiles/lone.yaml")
    assert (told.exit_code, told.stdout) == (
        0,
        "profiles/lone.yaml  iso  out/lone/lone.iso\nprofiles/desk.yaml  iso  out/desk/desk.iso\n",
    )


def test_matrix_lists_what_is_shipped_when_no_profile_is_named() -> None:
    named = [each["profile"] for each in list_builds()]
    assert named == list(session.shipped_profiles())
    assert "minimal" in named


def test_matrix_has_a_digest_that_changes_with_what_goes_into_the_image(checkout: Path) -> None:
    desk = "profiles/desk.yaml"
    assert [each["digest"] for each in list_builds(desk)] == [None]
    write_lock(desk)
    (before,) = list_builds(desk)
    assert (
        before["digest"]
        == json.loads(run("plan", "--format", "json", desk).stdout)["steps"][-1]["digest"]
    )
    with (checkout / desk).open("a") as profile:
        profile.write("outputs:\n  iso: {compression: release}\n")
    (after,) = list_builds(desk)
    assert before["digest"] != after["digest"]


@pytest.mark.parametrize("is_committed", [True, False])
def test_matrix_puts_the_lock_of_each_digest_where_it_says(
    checkout: Path, is_committed: bool
) -> None:
    """Committed beside the profile or made for an earlier list, it is what a build is to take."""
    desk = "profiles/desk.yaml"
    resolved = session.require_profile(desk, ())
    find = locks.lock_beside if is_committed else lambda *_: locks.lock_of_build(None, resolved)
    locks.write_lock(make_empty_lock(resolved), find(desk, resolved))
    (unlocked,) = list_builds(desk)
    (locked,) = list_builds("--lock", desk)
    assert locked == {**unlocked, "lock": "out/desk/desk.lock"}
    assert unlocked["lock"] is None
    there = locks.read_lock(checkout / "out/desk/desk.lock")
    assert there == make_empty_lock(resolved)


def test_plan_takes_the_lock_that_is_given_and_no_other(checkout: Path) -> None:
    desk = "profiles/desk.yaml"
    resolved = session.require_profile(desk, ())
    locks.write_lock(make_empty_lock(resolved), locks.lock_beside(desk, resolved))
    given = checkout / "given.lock"
    locks.write_lock(replace(make_empty_lock(resolved), epoch=2), given)
    plans = [
        json.loads(run("plan", "--format", "json", *options, desk).stdout)
        for options in ((), ("--lock", str(given)))
    ]
    assert [plan["epoch"] for plan in plans] == [1, 2]
    with (checkout / desk).open("a") as profile:
        profile.write("packages: [nano]\n")
    for verb in (("plan",), ("build", "--dry-run")):
        fault = run(*verb, "--lock", "given.lock", desk).exception
        assert isinstance(fault, locks.LockMistake)
        assert (fault.message, fault.hint) == (
            "the profile asks for other packages than `given.lock` holds",
            "build-image lock --update -o given.lock profiles/desk.yaml",
        )


def test_matrix_tells_the_mistakes_of_all_profiles(checkout: Path) -> None:
    for name in ("desk", "lone"):
        (checkout / f"profiles/{name}.yaml").write_text(f"version: 1\nname: {name}\nsuit: x\n")
    told = run("matrix", "profiles/desk.yaml", "profiles/lone.yaml")
    heads = [line for line in told.stderr.splitlines() if ": error[" in line]
    assert (told.exit_code, told.stdout) == (3, "")
    assert heads == [
        f"profiles/{name}.yaml:3:1: error[unknown-key]: there is no key `suit`"
        for name in ("desk", "lone")
    ]


def test_matrix_refuses_two_images_of_one_name(checkout: Path) -> None:
    (checkout / "profiles/lone.yaml").write_text("version: 1\nname: desk\nextends: [minimal]\n")
    told = run("matrix", "profiles/desk.yaml", "profiles/lone.yaml")
    assert (told.exit_code, told.stdout) == (2, "")
    assert told.stderr.endswith(
        "Error: `profiles/desk.yaml` and `profiles/lone.yaml` are both named `desk`, "
        "and the results of one would lie over those of the other\n"
    )


def test_validate_annotates_at_the_path_that_the_checkout_has(checkout: Path) -> None:
    desk = checkout / "profiles/desk.yaml"
    desk.write_text("version: 1\nname: desk\nsuit: '::add-mask::a ##[add-mask]b'\n")
    expected = (
        "::error file=profiles/desk.yaml,line=3,endLine=3,col=1,endColumn=4,title=unknown-key::"
        "there is no key `suit`%0Ahint: did you mean `suite`?\n"
    )
    assert annotate("github", str(desk)) == (3, "", expected)
    status, talk, report = annotate("gitlab", str(desk))
    assert (status, talk) == (3, "")
    assert [issue["location"] for issue in json.loads(report)] == [
        {"path": "profiles/desk.yaml", "lines": {"begin": 3, "end": 3}}
    ]


def test_validate_has_no_annotation_for_a_profile_without_mistakes() -> None:
    assert annotate("github", "profiles/desk.yaml") == (0, "", "")
    assert annotate("gitlab", "profiles/desk.yaml") == (0, "", "[]\n")

# SPDX-License-Identifier: GPL-3.0-or-later
"""A result folder belongs to the last attempt that claimed it, whoever ends first."""

import hashlib
import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnoppix_build.effects.attempts import Claim, SupersededFault, claim_folder, standing
from gnoppix_build.effects.results import SUMS, check_sums, publish, publish_reports

FILES = {"desk.iso": b"an image", "logs/one.log": b"same", "logs/two.log": b"same"}


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_publish_fills_the_folder_with_the_hashes_of_all(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "desk"
    publish(folder, FILES, claim_folder(folder, None))
    sums = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in FILES.items()
    )
    assert files_below(folder) == {**FILES, "SHA256SUMS": sums.encode()}
    assert sorted(path.name for path in folder.parent.iterdir()) == [".desk.attempt", "desk"]
    check_sums(folder)


def test_overtaken_attempt_cannot_overwrite_whether_it_ends_before_or_after(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    old, new = claim_folder(folder, 7), claim_folder(folder, 8)
    with pytest.raises(SupersededFault) as early:
        publish(folder, {"desk.iso": b"leftover"}, old)
    assert not folder.exists()
    publish(folder, {"desk.iso": b"result"}, new)
    with pytest.raises(SupersededFault) as late:
        publish(folder, {"desk.iso": b"leftover", "more": b"leftover"}, old)
    assert files_below(folder).keys() == {"desk.iso", "SHA256SUMS"}
    assert (folder / "desk.iso").read_bytes() == b"result"
    assert early.value.message == late.value.message
    assert late.value.message == (
        f"attempt 8 took `{folder}` over while this one, attempt 7, was running; "
        "nothing was put there"
    )
    assert (late.value.exit_code, late.value.code) == (8, "superseded")


def test_attempt_that_comes_late_cannot_claim(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    new = claim_folder(folder, 8)
    with pytest.raises(SupersededFault, match="attempt 7 is over: attempt 8 has"):
        claim_folder(folder, 7)
    publish(folder, FILES, new)


def test_second_start_of_an_attempt_takes_over_from_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    first, second = claim_folder(folder, 8), claim_folder(folder, 8)
    with pytest.raises(SupersededFault):
        publish(folder, FILES, first)
    publish(folder, FILES, second)


def test_attempt_without_a_number_is_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    assert [claim_folder(folder, each).attempt for each in (None, 5, None)] == [1, 5, 6]


def test_claim_that_a_killed_process_cut_off_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / ".desk.attempt").write_text("")
    assert claim_folder(tmp_path / "desk", None).attempt == 1


def test_publish_clears_the_arrivals_of_killed_attempts_of_this_folder(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    for leftover in (".desk.arriving-x", ".desktop.arriving-x"):
        (tmp_path / leftover).mkdir()
        (tmp_path / leftover / "0").write_text("half")
    publish(folder, FILES, claim_folder(folder, None))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".desk.attempt",
        ".desktop.arriving-x",
        "desk",
    ]


def overtake_at_the_next_copy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have another attempt publish before the next file is copied."""
    copy = shutil.copyfile

    def overtake(source: Path, place: Path) -> None:
        monkeypatch.setattr(shutil, "copyfile", copy)
        publish(folder, {"desk.iso": b"result"}, claim_folder(folder, None))
        copy(source, place)

    monkeypatch.setattr(shutil, "copyfile", overtake)


def test_attempt_whose_arrivals_are_cleared_away_says_that_it_was_overtaken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its copying and its renaming another one publishes."""
    folder = tmp_path / "desk"
    old = claim_folder(folder, None)
    image = tmp_path / "image"
    image.write_bytes(b"leftover")
    overtake_at_the_next_copy(folder, monkeypatch)
    with pytest.raises(SupersededFault):
        publish(folder, {"desk.iso": image}, old)
    assert (folder / "desk.iso").read_bytes() == b"result"


def test_reports_stand_beside_what_they_are_on_until_it_is_built_anew(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    recording = tmp_path / "recording"
    recording.write_bytes(b"frames")
    texts = {"verify.json": b"{}", "verify.xml": b"<x/>"}
    reports: dict[str, Path | bytes] = {**texts, "verify.pcap": recording}
    publish(folder, FILES, claim_folder(folder, None))
    publish_reports(folder, reports, check_sums(folder))
    built = files_below(folder)
    assert {name: built[name] for name in reports} == {**texts, "verify.pcap": b"frames"}
    assert built.keys() == {*FILES, SUMS, *reports}
    check_sums(folder)
    publish(folder, FILES, claim_folder(folder, None))
    assert files_below(folder).keys() == {*FILES, SUMS}
    assert recording.exists()


def test_reports_on_an_image_that_was_replaced_are_not_put_there(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    publish(folder, FILES, claim_folder(folder, None))
    seen = check_sums(folder)
    publish(folder, {"desk.iso": b"another image"}, claim_folder(folder, None))
    publish_reports(folder, {"verify.json": b"new"}, check_sums(folder))
    expected = files_below(folder)
    with pytest.raises(SupersededFault) as late:
        publish_reports(folder, {"verify.json": b"old", "verify.pcap": b"old"}, seen)
    assert files_below(folder) == expected
    assert late.value.message == (
        f"`{folder}` was filled again while its image was verified; nothing was put there"
    )
    (folder / SUMS).unlink()  # as where a build was killed while it put its results there
    with pytest.raises(SupersededFault):
        publish_reports(folder, {"verify.json": b"old"}, seen)
    assert (folder / "verify.json").read_bytes() == b"new"


def test_reports_whose_arrivals_a_build_clears_away_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "desk"
    publish(folder, FILES, claim_folder(folder, None))
    seen = check_sums(folder)
    recording = tmp_path / "recording"
    recording.write_bytes(b"frames")
    overtake_at_the_next_copy(folder, monkeypatch)
    with pytest.raises(SupersededFault):
        publish_reports(folder, {"verify.pcap": recording}, seen)
    assert files_below(folder).keys() == {*FILES, SUMS}


def test_reports_wait_while_a_build_puts_its_results_there(tmp_path: Path) -> None:
    """Between the first and the last file of a build nobody compares, and nobody writes."""
    folder = tmp_path / "desk"
    publish(folder, FILES, claim_folder(folder, None))
    seen = check_sums(folder)
    claim = claim_folder(folder, None)
    late = threading.Thread(target=publish_reports, args=(folder, {"verify.json": b"x"}, seen))
    with standing(folder, claim):
        late.start()
        late.join(0.3)
        assert late.is_alive()
        assert not (folder / "verify.json").exists()
    late.join(10)
    assert (folder / "verify.json").read_bytes() == b"x"


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=12))
def test_results_are_always_those_of_the_last_claim_that_published(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, bool]]
) -> None:
    """Whatever the order in which attempts start and end, only the claimant's results appear."""
    folder = tmp_path_factory.mktemp("moves") / "desk"
    claims: dict[int, Claim] = {}
    last, expected = -1, None
    for number, is_start in moves:
        if is_start:
            if number + 1 >= last:
                claims[number] = claim_folder(folder, number + 1)
                last = number + 1
        elif number in claims:
            try:
                publish(folder, {"desk.iso": str(number).encode()}, claims[number])
                expected = number
            except SupersededFault:
                assert number + 1 < last
            else:
                assert number + 1 == last
    found = (folder / "desk.iso").read_bytes() if folder.exists() else None
    assert found == (None if expected is None else str(expected).encode())

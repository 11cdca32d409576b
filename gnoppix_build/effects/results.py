# SPDX-License-Identifier: GPL-3.0-or-later
"""The result folder: files appear in it whole, by rename, and the list of their hashes last.

Reports on what was built come into it later, and go when something else is built.
"""

import glob
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gnoppix_build.effects.attempts import Claim, SupersededFault, standing, undisturbed
from gnoppix_build.effects.faults import DigestFault, EnvironmentFault

SUMS = "SHA256SUMS"
REPORTS = ("verify.json", "verify.xml", "verify.pcap")
"""What a verification puts beside what was built."""


def publish(folder: Path, files: Mapping[str, Path | bytes], claim: Claim) -> None:
    """Put files (name -> a file to copy, or bytes) into the folder, with SHA256SUMS.

    Reports on what was there before go. Raises SupersededFault, and leaves the folder as it is,
    when a later attempt has claimed it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _arriving(folder) as scratch:
            arriving = Path(scratch)
            arrived = _bring_all(files, arriving)
            sums = (f"{sha256_of(place)}  {name}\n" for name, place in arrived.items())
            (arriving / SUMS).write_text("".join(sums))
            with standing(folder, claim):
                _clear_leftovers(folder, arriving)
                _put(arriving, arrived, folder)
    except FileNotFoundError:  # a later attempt has cleared our arrivals away: say so
        with standing(folder, claim):
            raise


def publish_reports(folder: Path, reports: Mapping[str, Path | bytes], sums: str) -> None:
    """Put reports on what was built beside it, for as long as it is what `check_sums` saw.

    `reports`: a name of REPORTS -> a file to copy, or bytes; `sums` is what `check_sums` gave.
    Raises SupersededFault, and leaves the folder as it is, when something else was built meanwhile.
    """
    assert reports.keys() <= {*REPORTS}, reports.keys()
    try:
        with _arriving(folder) as scratch:
            arrived = _bring_all(reports, Path(scratch))
            with unchanged(folder, sums):
                for name, place in arrived.items():
                    place.replace(folder / name)
    except FileNotFoundError:  # a build has cleared our arrivals away: say so
        with unchanged(folder, sums):
            raise


@contextmanager
def unchanged(folder: Path, sums: str) -> Iterator[None]:
    """Hold the folder for as long as the block lasts; raises SupersededFault if it was refilled."""
    with undisturbed(folder):
        path = folder / SUMS
        if not path.is_file() or sha256_of(path) != sums:
            raise SupersededFault(
                f"`{folder}` was filled again while its image was verified; nothing was put there",
                hint="verify what is there now: build-image verify PROFILE",
            )
        yield


def _bring_all(files: Mapping[str, Path | bytes], arriving: Path) -> Mapping[str, Path]:
    return {
        name: _bring(source, arriving / str(number))
        for number, (name, source) in enumerate(sorted(files.items()))
    }


def _arriving(folder: Path) -> "tempfile.TemporaryDirectory[str]":
    """Make a folder of this attempt's own beside the result folder."""
    return tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=_arrivals(folder), ignore_cleanup_errors=True
    )


def _arrivals(folder: Path) -> str:
    return f".{folder.name}.arriving-"


def _bring(source: Path | bytes, place: Path) -> Path:
    if isinstance(source, bytes):
        place.write_bytes(source)
    else:
        shutil.copyfile(source, place)
    place.chmod(0o644)
    return place


def _clear_leftovers(folder: Path, own: Path) -> None:
    """Remove what attempts before this one, killed or overtaken, had brought."""
    for arrivals in folder.parent.glob(f"{glob.escape(_arrivals(folder))}*"):
        if arrivals != own:
            shutil.rmtree(arrivals, ignore_errors=True)


def _put(arriving: Path, arrived: Mapping[str, Path], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for stale in (SUMS, *REPORTS):
        (folder / stale).unlink(missing_ok=True)
    for name, place in arrived.items():
        (folder / name).parent.mkdir(exist_ok=True)
        place.replace(folder / name)
    (arriving / SUMS).replace(folder / SUMS)


def check_sums(folder: Path) -> str:
    """Hold every file of the folder against SHA256SUMS, and give the hash of that list.

    Raises DigestFault for the first file that is not what the list says.
    """
    try:
        listed = (folder / SUMS).read_bytes()
    except FileNotFoundError as error:
        raise EnvironmentFault(
            f"`{folder}` holds no finished build: there is no `{SUMS}`",
            hint="build it first: build-image build PROFILE",
        ) from error
    for line in listed.decode().splitlines():
        digest, _, name = line.partition("  ")
        path = folder / name
        if not path.is_file() or sha256_of(path) != digest:
            raise DigestFault(
                f"`{path}` is not what was built: its hash is not the one in `{SUMS}`",
                hint="build it again: build-image build PROFILE",
            )
    return hashlib.sha256(listed).hexdigest()


def sha256_of(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The result folder: files appear in it whole, by rename, and the list of their hashes last."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gnoppix_build.effects.faults import DigestFault, EnvironmentFault

SUMS = "SHA256SUMS"


def publish(folder: Path, files: Mapping[str, Path | bytes]) -> None:
    """Put files (name -> a file to copy, or bytes) into the folder, with SHA256SUMS."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.parent.glob(f".{folder.name}.arriving-*"):
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=f".{folder.name}.arriving-"
    ) as scratch:
        arriving = Path(scratch)
        sums = []
        for name, source in sorted(files.items()):
            place = arriving / name.replace("/", "%")
            if isinstance(source, bytes):
                place.write_bytes(source)
            else:
                shutil.copyfile(source, place)
            place.chmod(0o644)
            sums.append(f"{sha256_of(place)}  {name}\n")
        (arriving / SUMS).write_text("".join(sums))
        (folder / SUMS).unlink(missing_ok=True)
        for name in sorted(files):
            (folder / name).parent.mkdir(exist_ok=True)
            (arriving / name.replace("/", "%")).replace(folder / name)
        (arriving / SUMS).replace(folder / SUMS)


def check_sums(folder: Path) -> None:
    """Hold every file of the folder against SHA256SUMS; raises DigestFault for the first."""
    try:
        lines = (folder / SUMS).read_text().splitlines()
    except FileNotFoundError as error:
        raise EnvironmentFault(
            f"`{folder}` holds no finished build: there is no `{SUMS}`",
            hint="build it first: build-image build PROFILE",
        ) from error
    for line in lines:
        digest, _, name = line.partition("  ")
        path = folder / name
        if not path.is_file() or sha256_of(path) != digest:
            raise DigestFault(
                f"`{path}` is not what was built: its hash is not the one in `{SUMS}`",
                hint="build it again: build-image build PROFILE",
            )


def sha256_of(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of payloads beside the playbooks: path on the machine -> file of this host."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

FOLDER = "project/payload"
DIGESTS = "SHA256SUMS"


def write_payloads(payloads: Mapping[str, Path], tree: Path, *, is_linked: bool = False) -> None:
    """Put payloads into a rendered tree, as copies or as links, with their digests beside them.

    Source: sha256sum(1).
    """
    folder = tree / FOLDER
    lines = []
    for path, file in sorted(payloads.items()):
        name = path.lstrip("/")
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if is_linked:
            place.symlink_to(file.absolute())
        else:
            shutil.copyfile(file, place)
        lines.append(f"{digest_of_file(file)}  {name}\n")
    if lines:
        (folder / DIGESTS).write_text("".join(lines))


def digest_of_file(file: Path) -> str:
    """Give the sha256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What `--diff` prints of a file on a machine: no text that others may not read there."""

import base64
import os
from pathlib import Path

import pytest
from role_modules import load_role_module

READABLE, SECRET = 0o644, 0o640


def shown(
    monkeypatch: pytest.MonkeyPatch, path: Path, before: tuple[bytes, int] | None, mode: int
) -> tuple[str, str]:
    """Give what is shown of a file before and after `new` is brought with a mode."""
    files = load_role_module("gnoppix_files", monkeypatch)
    if before is not None:
        content, mode_before = before
        path.write_bytes(content)
        path.chmod(mode_before)
    entry = {
        "path": str(path),
        "mode": f"{mode:04o}",
        "owner": str(os.getuid()),
        "group": str(os.getgid()),
        "component": "first",
        "content": base64.b64encode(b"new\n").decode(),
    }
    difference = files.find_differences(files.Wanted(entry))[0]
    return difference["before"], difference["after"]


@pytest.mark.parametrize(
    ("before", "mode", "expected"),
    [
        ((b"old\n", READABLE), READABLE, ("old\n", "new\n")),
        (None, READABLE, ("", "new\n")),
        ((b"\xff", READABLE), READABLE, ("(1 bytes that are no text)\n", "new\n")),
        (
            (b"old\n", READABLE),
            SECRET,
            ("old\n", "(4 new bytes that others may not read)\n"),
        ),
        ((b"old\n", SECRET), READABLE, ("(4 bytes that others may not read)\n", "new\n")),
        (
            (b"old\n", SECRET),
            SECRET,
            (
                "(4 bytes that others may not read)\n",
                "(4 new bytes that others may not read)\n",
            ),
        ),
        (None, SECRET, ("", "(4 new bytes that others may not read)\n")),
    ],
)
def test_diff_shows_no_text_that_others_may_not_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: tuple[bytes, int] | None,
    mode: int,
    expected: tuple[str, str],
) -> None:
    assert shown(monkeypatch, tmp_path / "file", before, mode) == expected

# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's steps for payloads: told by digest, brought once, refused when not whole."""

import hashlib
import json
from pathlib import Path

import pytest
from test_apply import Component, apply_tree, root, snapshot, write_tree

from gnoppix_build.effects.ansible import TaskFault
from gnoppix_build.effects.payloads import DIGESTS, FOLDER, write_payloads

__all__ = ["root"]
pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

PATH = "/usr/share/lab/words.bin"
BYTES = b"hsqs\0\xff{{ 1 + 1 }}"


def write_tree_with_payload(tmp_path: Path) -> Path:
    """Write a tree whose one component brings one payload."""
    tree = write_tree(tmp_path / "tree", Component("first"))
    source = tmp_path / "words.bin"
    source.write_bytes(BYTES)
    write_payloads({PATH: source}, tree)
    variables = tree / "project/group_vars/all.yml"
    text = variables.read_text()
    with_payload = text.replace('"payloads": []', f'"payloads": ["{PATH}"]')
    assert with_payload != text
    variables.write_text(with_payload)
    return tree


def test_payload_is_brought_and_noted_once(root: Path, tmp_path: Path) -> None:
    tree = write_tree_with_payload(tmp_path)
    assert apply_tree(tree, root).changed == 2
    there = root / PATH[1:]
    assert there.read_bytes() == BYTES
    status = there.stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o444, 0, 0)
    record = json.loads((root / "var/lib/gnoppix/machine.json").read_text())
    assert record["files"][PATH] == {
        "component": "first",
        "part": "ordinary",
        "before": None,
        "is_payload": True,
    }
    assert record["unsettled"] == [PATH]
    assert "/usr/share/lab" in record["folders"]
    before = snapshot(root)
    assert apply_tree(tree, root).changed == 0
    assert snapshot(root) == before


def test_payload_that_differs_in_a_byte_or_its_mode_is_brought_again(
    root: Path, tmp_path: Path
) -> None:
    tree = write_tree_with_payload(tmp_path)
    apply_tree(tree, root)
    there = root / PATH[1:]
    there.write_bytes(BYTES[:-1] + b"!")
    assert apply_tree(tree, root).changed == 2
    assert there.read_bytes() == BYTES
    there.chmod(0o644)
    assert apply_tree(tree, root).changed == 2
    assert there.stat().st_mode & 0o7777 == 0o444


def test_payload_that_is_not_whole_here_is_refused(root: Path, tmp_path: Path) -> None:
    tree = write_tree_with_payload(tmp_path)
    (tree / FOLDER / PATH[1:]).write_bytes(b"other")
    with pytest.raises(TaskFault, match=rf"words\.bin is not what {DIGESTS} says"):
        apply_tree(tree, root)
    assert not (root / PATH[1:]).exists()


def test_tree_without_its_payloads_says_how_to_make_one_with_them(
    root: Path, tmp_path: Path
) -> None:
    tree = write_tree_with_payload(tmp_path)
    (tree / FOLDER / DIGESTS).unlink()
    with pytest.raises(TaskFault, match="`build-image render --payload` makes a tree"):
        apply_tree(tree, root)


def test_digests_are_those_that_sha256sum_reads(tmp_path: Path) -> None:
    tree = write_tree_with_payload(tmp_path)
    digest = hashlib.sha256(BYTES).hexdigest()
    assert (tree / FOLDER / DIGESTS).read_text() == f"{digest}  {PATH[1:]}\n"

# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML to trees: what is refused, where it is said to be, and that nothing gets past."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from gnoppix_build.diagnostics import format_diagnostic
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language import Leaf, Listing, Table, Unreadable, decode, parse
from gnoppix_build.language.characters import split_lines
from gnoppix_build.language.leaves import Integer, Line, Port, Switch
from gnoppix_build.language.node import Node
from gnoppix_build.profile.model import Profile


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    text: Line = ""
    number: Integer = 0
    port: Port = 1
    switch: Switch = False
    items: tuple[str, ...] = ()


def codes(text: str | bytes) -> list[str]:
    return [each.code for each in parse(text, "f").diagnostics]


def read(text: str) -> tuple[Settings | None, list[str]]:
    document = parse(text, "f")
    assert document.root is not None
    decoded = decode(document.root, Settings)
    return decoded.value, [each.code for each in decoded.diagnostics]


@pytest.mark.parametrize("written", ["no", "on", "22:22", "1.10", "0644", "~", "null", "1e3"])
def test_decode_keeps_a_text_as_written(written: str) -> None:
    assert read(f"text: {written}") == (Settings(text=written), [])


@pytest.mark.parametrize(
    ("written", "expected"),
    [("on", True), ("true", True), ("off", False), ("false", False)],
)
def test_decode_reads_a_switch(written: str, expected: bool) -> None:
    assert read(f"switch: {written}") == (Settings(switch=expected), [])


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("number: 0755", "not-a-number"),
        ("number: 1.0", "not-a-number"),
        ("number: 1_000", "not-a-number"),
        ("number: '7'", "not-a-number"),
        ("number: \N{ARABIC-INDIC DIGIT SEVEN}", "not-a-number"),
        ("port: 0", "port-out-of-range"),
        ("port: 65536", "port-out-of-range"),
        ("switch: yes", "not-a-switch"),
        ("switch: 'on'", "not-a-switch"),
        ("text: [a]", "wrong-type"),
        ("items: a", "wrong-type"),
        ("txt: a", "unknown-key"),
        ('text: "a\\nb"', "several-lines"),
    ],
)
def test_decode_refuses_what_the_type_does_not_mean(line: str, code: str) -> None:
    assert read(line)[1] == [code]


def test_decode_points_at_an_unknown_key() -> None:
    document = parse("items: [a]\nswich: on\n", "f.yaml")
    assert document.root is not None
    (diagnostic,) = decode(document.root, Settings).diagnostics
    assert format_diagnostic(diagnostic, {"f.yaml": document.text}) == (
        "f.yaml:2:1: error[unknown-key]: there is no key `swich`\n"
        "  |\n"
        "2 | swich: on\n"
        "  | ^^^^^\n"
        "  = hint: did you mean `switch`?"
    )


BOMB = "a: &a [x]\n" + "".join(f"b{n}: [*a, *a, *a, *a]\n" for n in range(3))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [", "not-yaml"),
        ("a: 'b", "not-yaml"),
        ("a:\n\t- b", "not-yaml"),
        ("", "empty-file"),
        ("a: 1\na: 2", "duplicate-key"),
        (BOMB, "alias"),
        ("a: &x b", "anchor"),
        ("a: !!python/object/apply:os.system [id]", "tag"),
        ("a: ! b", "tag"),
        ("a: b\n---\nc: d", "several-documents"),
        ("%YAML 1.1\n---\na: b", "yaml-directive"),
        ("{a: b}: c", "key-not-text"),
        ("a: {{ b }}", "key-not-text"),
        ("<<: {a: b}", "merge-key"),
        ("a:", "empty-value"),
        ("a: '{{ b }}'", "template-in-value"),
        ("a: x{% b", "template-in-value"),
        ("a: 'b{# c'", "template-in-value"),
        ("a: b\x00c", "refused-character"),
        ("a: b\x1b[31m", "refused-character"),
        ('a: "\\0"', "refused-character"),
        ('a: "\\e[31m"', "refused-character"),
        ("a: \N{RIGHT-TO-LEFT OVERRIDE}b", "refused-character"),
        ('a: "\\u202e"', "refused-character"),
        ("a: b\N{ZERO WIDTH SPACE}", "refused-character"),
        ("\N{ZERO WIDTH NO-BREAK SPACE}a: b", "refused-character"),
        ("a: b\N{LINE SEPARATOR}c: d", "refused-character"),
        ("a: \ud800", "refused-character"),
        (b"a: \xff", "not-utf-8"),
        ("[" * 100_000, "too-deep"),
        ("- " * 100_000 + "a", "too-deep"),
        ("{a: " * 100_000, "too-deep"),
        ("a: [" + "b," * 30_000 + "b]", "too-many-values"),
        (b" " * (1024 * 1024 + 1), "file-too-large"),
    ],
)
def test_parse_refuses(text: str | bytes, code: str) -> None:
    assert code in codes(text)


@pytest.mark.timeout(60)
def test_parse_refuses_deep_nesting_and_reads_no_further() -> None:
    """PyYAML itself is still busy with it after minutes."""
    assert codes("[" * 1_000_000) == ["too-deep"]


def spans_of(node: Node) -> list[tuple[int, int, int, int]]:
    span = node.span
    found = [(span.line, span.column, span.end_line, span.end_column)]
    match node:
        case Leaf():
            return found
        case Listing():
            return found + [each for item in node.items for each in spans_of(item)]
        case Table():
            below = [each for entry in node.entries for each in spans_of(entry.value)]
            return found + below


YAML_LIKE = st.text(
    alphabet=st.sampled_from("ab:-, \n\t[]{}'\"#&*!|>%@\\0\N{SNOWMAN}\N{GRINNING FACE}?<\r")
    | st.characters(),
    max_size=60,
)


@given(YAML_LIKE | st.binary(max_size=60))
@example("a: |\n  b\n")
@example("a: b\r\nc: d\re: f")
@example("? - a\n: b")
def test_parse_never_raises_and_places_lie_inside_the_file(text: str | bytes) -> None:
    document = parse(text, "f")
    lines = split_lines(document.text)
    spans = [
        (each.span.line, each.span.column, each.span.end_line, each.span.end_column)
        for each in document.diagnostics
    ]
    if document.root is not None:
        spans += spans_of(document.root)
        decoded = decode(document.root, Profile)
        spans += [
            (each.span.line, each.span.column, each.span.end_line, each.span.end_column)
            for each in decoded.diagnostics
        ]
    else:
        assert document.diagnostics
    for line, column, end_line, end_column in spans:
        assert 1 <= line <= len(lines)
        assert line <= end_line <= len(lines)
        assert 1 <= column <= len(lines[line - 1]) + 1
        assert 1 <= end_column <= len(lines[end_line - 1]) + 1
        assert (line, column) <= (end_line, end_column)


def test_source_folders_read_only_ordinary_files_beneath(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("secret")
    (root / "ordinary").write_text("a: b")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "out").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    with (root / "huge").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    reader = SourceFolders([root])
    huge = reader.read(root / "huge")
    assert reader.read(root / "ordinary") == b"a: b"
    assert isinstance(huge, bytes)
    assert codes(huge) == ["file-too-large"]
    assert reader.read(root / "absent") == Unreadable("does not exist", is_missing=True)
    assert reader.read(root / "pipe") == Unreadable("is not an ordinary file")
    for name in ("link", "out/secret", "../secret"):
        assert isinstance(reader.read(root / name), Unreadable)
    assert isinstance(reader.read(Path("/etc/passwd")), Unreadable)
    assert reader.files(root) == ("huge", "ordinary")

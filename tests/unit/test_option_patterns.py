# SPDX-License-Identifier: GPL-3.0-or-later
"""Options whose texts have a form: what does not match is answered with an example."""

from pathlib import Path

import pytest
from profile_workbench import WrittenSources

from gnoppix_build.catalog.load import KINDS_FOLDER, load_catalog
from gnoppix_build.catalog.options import option_schema
from gnoppix_build.diagnostics import format_diagnostic
from gnoppix_build.resolve.resolve import resolve

MANIFEST = """\
kind: network
summary: houses
options:
  doors:
    type: texts
    pattern: "[a-z]+ [0-9]+"
    default: []
    doc: doors
    example: [front 1]
"""
PROFILE = """\
version: 1
name: top
components:
  house: {doors: [front 1, 'back; 2']}
"""


def told(profile: str, manifest: str = MANIFEST) -> str:
    texts = {
        str(KINDS_FOLDER / "network.yaml"): "layer: packages\nsummary: networks\n",
        "c/house/component.yaml": manifest,
        "p/top.yaml": profile,
    }
    reader = WrittenSources(texts)
    catalog = load_catalog([Path("c")], reader)
    if catalog.diagnostics:
        found, sources = catalog.diagnostics, catalog.sources
    else:
        resolution = resolve("p/top.yaml", catalog, reader, "image")
        found, sources = resolution.diagnostics, resolution.sources
    return "\n".join(format_diagnostic(each, sources) for each in found)


def test_text_of_another_form_is_answered_with_the_example() -> None:
    assert told(PROFILE) == (
        "p/top.yaml:4:28: error[wrong-form]: `back; 2` is not of the form that is wanted here\n"
        "  |\n"
        "4 |   house: {doors: [front 1, 'back; 2']}\n"
        "  |                            ^^^^^^^^^\n"
        "  = hint: write it as in `front 1`"
    )


def test_text_of_the_form_is_taken() -> None:
    assert told(PROFILE.replace("back; 2", "back 2")) == ""


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ('"[a-z]+ [0-9]+"', ""),
        ('"[a-z"', "not-a-pattern"),
        ('"[0-9]+"', "wrong-form"),
    ],
)
def test_pattern_has_to_be_one_and_to_match_the_example(written: str, code: str) -> None:
    manifest = MANIFEST.replace('"[a-z]+ [0-9]+"', written)
    profile = PROFILE.replace("doors: [front 1, 'back; 2']", "")
    assert (f"error[{code}]" if code else "") in told(profile, manifest)
    assert bool(told(profile, manifest)) == bool(code)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("{host}", ["a", "a-b.example", "192.0.2.7", "A.b" * 3], ["-a", "a-", "a..b", "a.b.", "ä"]),
        ("{host}", ["a" * 63, ".".join(["abcd"] * 50)], ["a" * 64, ".".join(["abcd"] * 50) + ".a"]),
        ("{host}:{port}", ["a:1", "a:65535", "a:9999"], ["a:0", "a:01", "a:65536", "a:99999"]),
    ],
)
def test_pattern_has_forms_for_hosts_and_ports(
    pattern: str, good: list[str], bad: list[str]
) -> None:
    manifest = MANIFEST.replace("[a-z]+ [0-9]+", pattern).replace("front 1", good[0])
    for text in good:
        assert told(PROFILE.replace("front 1, 'back; 2'", f"'{text}'"), manifest) == ""
    for text in bad:
        assert f"error[wrong-form]: `{text}`" in told(
            PROFILE.replace("front 1, 'back; 2'", f"'{text}'"), manifest
        )


NUMBER = """\
kind: network
summary: houses
options:
  doors: {type: integer, least: 1, most: 9, default: DEFAULT, doc: doors, example: 2}
"""


@pytest.mark.parametrize(
    ("default", "written", "hint"),
    [("1", "9", ""), ("1", "10", "write 9 or less"), ("1", "0", "write 1 or more")],
)
def test_number_has_bounds(default: str, written: str, hint: str) -> None:
    profile = PROFILE.replace("[front 1, 'back; 2']", written)
    said = told(profile, NUMBER.replace("DEFAULT", default))
    assert ("error[out-of-bounds]" in said, hint in said) == (bool(hint), True)


def test_default_has_to_be_within_bounds() -> None:
    assert "c/house/component.yaml:4:54: error[out-of-bounds]: `10` is too large" in told(
        PROFILE, NUMBER.replace("DEFAULT", "10")
    )


def test_list_of_several_profiles_is_counted_as_a_whole() -> None:
    manifest = MANIFEST.replace("    default: []\n", "    default: [front 1]\n    fewest: 2\n")
    own = "version: 1\nname: top\ncomponents:\n  house: {}\n"
    assert "c/house/component.yaml:7:14: error[too-few]: `doors` of `house` has one value" in told(
        own, manifest
    )
    assert told(PROFILE.replace("back; 2", "front 2"), manifest) == ""


def test_each_first_word_of_a_keyed_list_stands_there_once() -> None:
    manifest = MANIFEST.replace("    default: []\n", "    default: []\n    is-keyed: on\n")
    assert "error[word-twice]: `doors` of `house` has two entries `front`" in told(
        PROFILE.replace("back; 2", "front 2"), manifest
    )
    assert told(PROFILE.replace("back; 2", "back 1"), manifest) == ""


@pytest.mark.parametrize(
    ("limit", "purpose"),
    [
        ("least: 1", "bounds are for numbers"),
        ("most: 1", "bounds are for numbers"),
        ("fewest: 1", "a number of values is for lists"),
        ("is-keyed: on", "first words are for lists of texts"),
    ],
)
def test_limits_are_for_their_own_types(limit: str, purpose: str) -> None:
    manifest = MANIFEST.replace("type: texts", f"type: text\n    {limit}")
    manifest = manifest.replace("default: []", "default: front 1").replace("[front 1]", "front 1")
    assert f"error[wrong-type]: `doors` is of type `text`, {purpose}" in told(PROFILE, manifest)


def test_pattern_is_for_texts_only() -> None:
    manifest = MANIFEST.replace("type: texts", "type: ports").replace("front 1", "1")
    assert "error[wrong-type]: `doors` is of type `ports`, a pattern is for texts" in told(
        PROFILE, manifest
    )


def test_schema_has_the_pattern() -> None:
    texts = {
        str(KINDS_FOLDER / "network.yaml"): "layer: packages\nsummary: networks\n",
        "c/house/component.yaml": MANIFEST,
    }
    option = load_catalog([Path("c")], WrittenSources(texts)).components["house"].manifest.options
    assert option_schema(option["doors"]) == {
        "type": "array",
        "items": {"type": "string", "pattern": "^(?:[a-z]+ [0-9]+)$"},
        "description": "doors",
        "default": (),
    }

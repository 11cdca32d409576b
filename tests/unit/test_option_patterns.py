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

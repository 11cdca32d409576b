# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that no component expects: each is refused, or all that is rendered bears it."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from test_components import CASES, ROOT, write_profile

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, Catalog, load_catalog
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.render.configuration import render_configuration
from gnoppix_build.resolve.resolve import resolve

HOSTILE: Final = (
    *('"', "#", "'", "\\", "a b", " a", "zz", "abcd", "$(id)", "%n", "-x", "é", "0", "a;b", "/"),
    "x" * 300,
    "/" + "x" * 300,
)
READS: Final = ("text", "texts", "name", "names", "path")


@cache
def shipped() -> Catalog:
    return load_catalog([COMPONENTS_FOLDER], SourceFolders([ROOT]))


def child(mapping: Any, key: str) -> Any:
    return next(value for name, value in mapping.value if name.value == key)


def profiles_of(case: Path, text: str) -> Iterator[str]:
    """Write the profile of a case, first as it is, then with one option hostile at a time."""
    yield text
    root = yaml.compose(text)
    name = case.parents[1].name
    written = child(child(root, "components"), name)
    known = written.value if isinstance(written, yaml.MappingNode) else []
    for key, option in shipped().components[name].manifest.options.items():
        for value in HOSTILE if option.type in READS else ():
            scalar = yaml.ScalarNode("tag:yaml.org,2002:str", value, style='"')
            listed = yaml.SequenceNode("tag:yaml.org,2002:seq", [scalar], flow_style=True)
            node = listed if option.type.endswith("s") else scalar
            others = [(other, each) for other, each in known if other.value != key]
            written.value = [*others, (yaml.ScalarNode("tag:yaml.org,2002:str", key), node)]
            yield yaml.serialize(root, allow_unicode=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parents[1].name}-{case.name}")
def test_hostile_value_is_refused_or_rendered(case: Path, tmp_path: Path) -> None:
    profile = write_profile(case, tmp_path)
    sources = SourceFolders([ROOT, tmp_path])
    accepted = []
    for text in profiles_of(case, profile.read_text()):
        profile.write_text(text)
        resolution = resolve(profile, shipped(), sources, "image")
        if resolution.resolved is not None:
            accepted.append(text)
            render_configuration(resolution.resolved, sources)
        else:
            places = {each.span.file for each in resolution.diagnostics}
            assert places == {str(profile)}, resolution.diagnostics
    assert accepted, "the case by itself is accepted"

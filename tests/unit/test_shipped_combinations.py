# SPDX-License-Identifier: GPL-3.0-or-later
"""Any selection of shipped components, with any of their choices, is refused or can be rendered."""

from collections.abc import Mapping
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st
from profile_workbench import WrittenSources, printed

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, Catalog, load_catalog
from gnoppix_build.catalog.manifest import Option
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.render.configuration import render_configuration, render_files
from gnoppix_build.render.last_words import check_last_words
from gnoppix_build.render.paths import check_paths
from gnoppix_build.resolve.model import Target
from gnoppix_build.resolve.resolve import resolve

READER = SourceFolders([PACKAGE_FOLDER])


@cache
def shipped() -> Catalog:
    return load_catalog([COMPONENTS_FOLDER], READER)


def values_of(option: Option) -> tuple[str, ...]:
    """Give values of an option as a profile writes them; the example stands for what is free."""
    match option.type:
        case "switch":
            return ("on", "off")
        case "choice":
            return tuple(f'"{choice}"' for choice in option.choices)
        case _:
            return tuple(_as_yaml(each) for each in (option.default, option.example) if each)


def _as_yaml(value: str | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_as_yaml(each) for each in value)}]"
    return value if value.isdecimal() else f"'{value}'"


@st.composite
def profiles(draw: st.DrawFn) -> Mapping[str, Mapping[str, str]]:
    """Choose components with all that they require, and the values of some of their options."""
    known = shipped().components
    wanted = draw(st.lists(st.sampled_from(sorted(known)), min_size=1, unique=True))
    chosen: dict[str, Mapping[str, str]] = {}
    while wanted:
        name = wanted.pop()
        if name in chosen:
            continue
        options = known[name].manifest.options
        chosen[name] = {
            key: draw(st.sampled_from(values_of(option)))
            for key, option in sorted(options.items())
            if option.default is None or draw(st.booleans())
        }
        for thing in known[name].manifest.requires:
            wanted += [each for each in known if thing in _offers(each)][:1]
    return chosen


def _offers(name: str) -> set[str]:
    return {name, *shipped().components[name].manifest.provides}


@settings(deadline=None, max_examples=60)
@given(profiles(), st.sampled_from(["image", "machine"]))
def test_shipped_components_are_refused_or_rendered(
    chosen: Mapping[str, Mapping[str, str]], target: Target
) -> None:
    lines = ["version: 1", "name: any", "components:"]
    for name, options in chosen.items():
        lines.append(f"  {name}: {{{', '.join(f'{key}: {options[key]}' for key in options)}}}")
    text = "\n".join(lines)
    resolution = resolve("p/any.yaml", shipped(), WrittenSources({"p/any.yaml": text}), target)
    if resolution.resolved is None:
        assert printed(resolution)
        return
    files = tuple(render_files(resolution.resolved, READER))
    assert list(check_last_words(resolution.resolved, files, READER)) == []
    if not list(check_paths(resolution.resolved, files, READER)):
        render_configuration(resolution.resolved, READER)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden cases of the components: options in, files out, compared to the byte."""

import textwrap
from pathlib import Path

import pytest
import yaml

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, Catalog, load_catalog
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.render.configuration import render_configuration
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.resolve import resolve

ROOT = Path(__file__).parents[2]
RULESET = "/etc/gnoppix/firewall.nft"
CASES = sorted(COMPONENTS_FOLDER.glob("*/cases/*"))


def resolve_profile(profile: Path) -> Resolved:
    reader = SourceFolders([ROOT, profile.parent])
    catalog = load_catalog([COMPONENTS_FOLDER], reader)
    resolution = resolve(profile, catalog, reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    return resolution.resolved


def requirements(component: str, catalog: Catalog) -> set[str]:
    direct = {provider(each, catalog) for each in catalog.components[component].manifest.requires}
    return direct.union(*(requirements(each, catalog) for each in direct))


def provider(thing: str, catalog: Catalog) -> str:
    return min(
        name
        for name, each in catalog.components.items()
        if thing == name or thing in each.manifest.provides
    )


def write_profile(case: Path, folder: Path) -> Path:
    """Write a profile of the case's component, what it requires, and the case's `beside.yaml`."""
    component = case.parents[1].name
    catalog = load_catalog([COMPONENTS_FOLDER], SourceFolders([ROOT]))
    beside = case / "beside.yaml"
    others = beside.read_text() if beside.exists() else ""
    required = requirements(component, catalog) - {*(yaml.safe_load(others) or ())}
    lines = ["version: 1", "name: golden", "components:", textwrap.indent(others, "  ")]
    lines += [f"  {each}: {{}}" for each in sorted(required)]
    lines += [f"  {component}:", textwrap.indent((case / "options.yaml").read_text(), "    ")]
    profile = folder / "golden.yaml"
    profile.write_text("\n".join(lines))
    return profile


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parents[1].name}-{case.name}")
def test_component_renders_its_expected_files(case: Path, tmp_path: Path) -> None:
    resolved = resolve_profile(write_profile(case, tmp_path))
    component = case.parents[1].name
    rendered = {
        file.path: file.content.decode()
        for file in render_configuration(resolved, SourceFolders([ROOT]))
        if file.origin == component
    }
    expected = {
        f"/{path.relative_to(case / 'expected').as_posix()}": path.read_text()
        for path in (case / "expected").rglob("*")
        if path.is_file()
    }
    assert rendered == expected


def test_minimal_profile_has_its_reviewed_ruleset() -> None:
    files = render_configuration(
        resolve_profile(ROOT / "profiles" / "minimal.yaml"), SourceFolders([ROOT])
    )
    rendered = {file.path: file.content.decode() for file in files}[RULESET]
    assert rendered == (Path(__file__).parent / "minimal" / "firewall.nft").read_text()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The profiles that are shipped, and the one of the tests: each resolves without a word."""

from pathlib import Path

import pytest

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.diagnostics import format_diagnostic
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.resolve.model import Resolved, Target
from gnoppix_build.resolve.resolve import resolve

PROJECT = Path(__file__).parents[2]
SHIPPED = sorted((PROJECT / "profiles").glob("*.yaml"))
EVERYTHING = PROJECT / "tests" / "profiles" / "everything.yaml"


def resolve_shipped(profile: Path, target: Target = "image") -> Resolved:
    reader = SourceFolders([PROJECT])
    resolution = resolve(
        profile, load_catalog([COMPONENTS_FOLDER], reader), reader, target, [PROJECT / "profiles"]
    )
    said = [format_diagnostic(each, resolution.sources) for each in resolution.diagnostics]
    assert said == []
    assert resolution.resolved is not None
    return resolution.resolved


@pytest.mark.parametrize("target", ["image", "machine"])
@pytest.mark.parametrize("profile", [*SHIPPED, EVERYTHING], ids=lambda path: path.stem)
def test_profile_resolves_without_a_word(profile: Path, target: Target) -> None:
    resolved = resolve_shipped(profile, target)
    assert resolved.name == profile.stem
    assert resolved.summary

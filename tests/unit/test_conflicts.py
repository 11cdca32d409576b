# SPDX-License-Identifier: GPL-3.0-or-later
"""Combinations that cannot work: refused with every place named; whole messages are compared."""

from pathlib import Path

import pytest
from profile_workbench import MISTAKES, load_test_catalog, printed, resolve_texts

from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.resolve.resolve import Resolution, resolve

CONFLICTS = sorted((MISTAKES / "conflicts").glob("*.yaml"))


def resolve_file(profile: Path) -> Resolution:
    reader = SourceFolders([profile.parent])
    return resolve(profile, load_test_catalog(), reader, "image")


@pytest.mark.parametrize("profile", CONFLICTS, ids=lambda profile: profile.stem)
def test_resolve_refuses_a_combination_that_cannot_work(profile: Path) -> None:
    resolution = resolve_file(profile)
    assert resolution.resolved is None
    assert printed(resolution) + "\n" == profile.with_suffix(".expected").read_text()


def test_resolve_lets_a_refusal_have_its_exception() -> None:
    components = "components:\n  base: {}\n  gates: {guarded: on}\n"
    resolution = resolve_texts({"p/top.yaml": f"version: 1\nname: top\n{components}"})
    assert printed(resolution) == ""

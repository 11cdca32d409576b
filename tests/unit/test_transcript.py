# SPDX-License-Identifier: GPL-3.0-or-later
"""The transcript of a provisioned machine shows what there is: profile, files, units, checks."""

import ast
import re
from pathlib import Path

import pytest
from write_transcript import HEAD, PROFILE, TRANSCRIPT, indented

from gnoppix_build.catalog.load import COMPONENTS_FOLDER
from gnoppix_build.cli import session
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.render.configuration import render_configuration
from gnoppix_build.render.described import describe_components, describe_machine

PROJECT = Path(__file__).parents[2]
SHOWN = re.compile(r"^    \+\+\+ after: (\S+)", re.MULTILINE)
CHECK = re.compile(r"^    (?:pass|fail|skip) +([a-z0-9-]+) +(test_\w+)", re.MULTILINE)
# What a difference of packages is headed with.
PACKAGES = "packages"


@pytest.fixture(scope="module")
def transcript() -> str:
    return TRANSCRIPT.read_text()


def test_transcript_starts_with_the_profile_that_is_run(transcript: str) -> None:
    """`./run transcript` writes it anew."""
    assert transcript.startswith(f"{HEAD}{indented(PROFILE)}\n## ")


def test_transcript_shows_the_files_and_units_of_its_profile(
    transcript: str, tmp_path: Path
) -> None:
    profile = tmp_path / "box.yaml"
    profile.write_text(PROFILE)
    resolved = session.require_profile(str(profile), (), "machine")
    files = render_configuration(resolved, SourceFolders([PROJECT]))
    components = describe_components(resolved, files, frozenset())
    units = {each.unit for each in describe_machine(resolved, components, "").units}
    shown = set(SHOWN.findall(transcript)) - {PACKAGES}
    assert {name for name in shown if name.startswith("/")} == {file.path for file in files}
    assert {name for name in shown if not name.startswith("/")} <= units


def test_transcript_shows_checks_that_there_are(transcript: str) -> None:
    shown = set(CHECK.findall(transcript))
    assert shown
    components = {component for component, _ in shown}
    known = {
        (component, node.name)
        for component in components
        for file in (COMPONENTS_FOLDER / component).glob("check_*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    assert shown - known == set()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The man pages are of everything there is, and say what they are meant to say."""

import shutil
import subprocess
from pathlib import Path

import pytest
import roff
from command_pages import command_pages
from format_pages import format_pages
from hypothesis import given, strategies

from gnoppix_build.catalog.manifest import Manifest
from gnoppix_build.profile.model import Profile

PROJECT = Path(__file__).parents[2]
VERBS = sorted(path.stem for path in (PROJECT / "gnoppix_build/cli/verbs").glob("[a-z]*.py"))
PAGES = dict((*command_pages(), *format_pages()))
PRINTABLE = strategies.text(strategies.characters(min_codepoint=32, max_codepoint=126))


def test_manual_has_a_page_for_the_command_each_verb_and_each_format() -> None:
    verbs = [f"build-image-{verb}.1" for verb in VERBS]
    assert list(PAGES) == ["build-image.1", *verbs, "gnoppix-profile.5", "gnoppix-component.5"]


@pytest.mark.parametrize(
    ("page", "keys"),
    [
        ("gnoppix-profile.5", list(Profile.model_fields)),
        ("gnoppix-component.5", [name.replace("_", "-") for name in Manifest.model_fields]),
    ],
)
def test_page_of_a_format_tells_every_key(page: str, keys: list[str]) -> None:
    section = PAGES[page].partition('.SH "KEYS"')[2].partition(".SH")[0]
    told = [line for line in section.splitlines() if line.startswith("\\fB") and " " not in line]
    assert told == [f"\\fB{roff.escape(key)}\\fR" for key in keys]


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff to read pages with")
@pytest.mark.parametrize("page", PAGES)
def test_groff_reads_a_page_without_a_warning(page: str) -> None:
    read = ("groff", "-man", "-Tascii", "-ww", "-rLL=200n")
    done = subprocess.run(read, input=PAGES[page], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff to read pages with")
def test_groff_prints_every_sign_as_it_is() -> None:
    signs = "".join(map(chr, range(33, 127)))
    lines = [signs, f".{signs}", f"'{signs}", "\\fBx", '.SH "a"']
    page = roff.page("x", 1, "x", "x", (".nf", *(roff.escape(line) for line in lines)))
    done = subprocess.run(
        ("groff", "-man", "-Tascii", "-P-cbou", "-rLL=300n"),
        input=page,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line for line in lines if line not in done.stdout] == []


@given(PRINTABLE)
def test_no_text_becomes_a_request(text: str) -> None:
    assert not roff.escape(text).startswith((".", "'"))
    assert not roff.inline(text).startswith((".", "'"))

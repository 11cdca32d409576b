# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a profile that need a component to have an effect."""

from pathlib import Path

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.diagnostics import format_diagnostic
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.resolve.resolve import resolve

HEAD = "version: 1\nname: mine\ncomponents:\n  debian-base: {}\n"


def told(folder: Path, text: str) -> list[str]:
    profile = folder / "mine.yaml"
    profile.write_text(text)
    reader = SourceFolders([PACKAGE_FOLDER, folder])
    resolution = resolve(profile, load_catalog([COMPONENTS_FOLDER], reader), reader, "image")
    return [format_diagnostic(each, resolution.sources) for each in resolution.diagnostics]


def test_locale_that_nothing_generates_is_a_mistake(tmp_path: Path) -> None:
    (message,) = told(tmp_path, f"{HEAD}locale: de_DE.UTF-8\n")
    assert message == (
        f"{tmp_path}/mine.yaml:5:9: error[setting-without-effect]: no component of the profile "
        "puts the locale `de_DE.UTF-8` into effect\n"
        "  |\n"
        "5 | locale: de_DE.UTF-8\n"
        "  |         ^^^^^^^^^^^\n"
        "  = hint: add `locales: {}` under `components:`"
    )


def test_settings_with_their_components_are_fine(tmp_path: Path) -> None:
    own = "  locales: {}\n  console-keyboard: {}\n"
    assert told(tmp_path, f"{HEAD}{own}locale: de_DE.UTF-8\nkeyboard: de\n") == []

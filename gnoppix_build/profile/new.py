# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a profile to start from."""

from typing import Final

SCHEMA_FILE: Final = "profile.schema.json"


def new_profile_text(name: str) -> str:
    """Write a profile that leads all through Tor; editors find its schema by the first line."""
    return (
        f"# yaml-language-server: $schema={SCHEMA_FILE}\n"
        "version: 1\n"
        f"name: {name}\n"
        "summary: A system of my own\n"
        "extends: [common]\n"
        "components:\n"
        "  dns: {mode: tor}\n"
        "  tor: {mode: transparent}\n"
        "packages: []\n"
        "outputs:\n"
        "  iso: {compression: development}\n"
    )

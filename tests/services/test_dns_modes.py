# SPDX-License-Identifier: GPL-3.0-or-later
"""Who answers for names is decided once in a profile: two owners, or none, are refused."""

from pathlib import Path

import pytest

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, KINDS_FOLDER, load_catalog
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.resolve.resolve import Resolution, resolve

BASE = "version: 1\nname: names\ncomponents:\n  debian-base: {}\n  firewall: {}\n"
BASE += "  network-identity: {}\n"


def resolve_modes(folder: Path, dns: str, tor: str) -> Resolution:
    profile = folder / "names.yaml"
    profile.write_text(
        BASE + f"  dns: {{mode: {dns}}}\n" + (f"  tor: {{mode: {tor}}}\n" if tor else "")
    )
    reader = SourceFolders([folder, COMPONENTS_FOLDER, KINDS_FOLDER])
    return resolve(profile, load_catalog([COMPONENTS_FOLDER], reader), reader, "image")


@pytest.mark.parametrize("dns", ["dot", "doh", "dnscrypt"])
def test_resolver_beside_a_redirect_of_names_is_refused(dns: str, tmp_path: Path) -> None:
    resolution = resolve_modes(tmp_path, dns, "transparent")
    assert [(each.code, each.message, each.hint) for each in resolution.diagnostics] == [
        (
            "feature-taken-away",
            "`dns` takes away `sole-way-out`, which `tor` needs",
            "give `dns` another `mode`, or give `tor` another `mode`",
        ),
        (
            "feature-taken-away",
            "`tor` takes away `own-resolver`, which `dns` needs",
            "give `tor` another `mode`, or give `dns` another `mode`",
        ),
    ]


def test_names_over_tor_without_tor_are_refused(tmp_path: Path) -> None:
    resolution = resolve_modes(tmp_path, "tor", "")
    assert [(each.code, each.message, each.hint) for each in resolution.diagnostics] == [
        (
            "feature-absent",
            "`dns` needs `tor-resolver`, which nothing in the profile gives",
            "add `tor: {}` under `components:`",
        )
    ]


@pytest.mark.parametrize(
    ("dns", "tor"),
    [("tor", "transparent"), ("tor", "socks"), ("dot", "socks"), ("doh", ""), ("dnscrypt", "")],
)
def test_one_owner_of_names_is_taken(dns: str, tor: str, tmp_path: Path) -> None:
    assert resolve_modes(tmp_path, dns, tor).diagnostics == ()

# SPDX-License-Identifier: GPL-3.0-or-later
"""A tunnel on a machine that is there already: its cards move, and what configures them has to."""

from pathlib import Path

import pytest

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.resolve.model import Target
from gnoppix_build.resolve.resolve import resolve

TUNNEL = """\
version: 1
name: top
components:
  debian-base: {}
  firewall: {}
  link-namespace: {}
  network-identity: {}
  wireguard:
    addresses: [10.2.0.2]
    endpoint: 192.0.2.1
    public-key: hb3Tw2qj9QUUP8XGjYyaMkz8FUzJSgJtJfVUxYTKQBQ=
"""


def told(folder: Path, text: str, target: Target) -> tuple[Diagnostic, ...]:
    profile = folder / "top.yaml"
    profile.write_text(text)
    reader = SourceFolders([PACKAGE_FOLDER, folder])
    return resolve(profile, load_catalog([COMPONENTS_FOLDER], reader), reader, target).diagnostics


def test_cards_of_an_image_are_configured_where_they_are(tmp_path: Path) -> None:
    assert told(tmp_path, TUNNEL, "image") == ()


def test_machine_has_to_say_what_configures_its_cards(tmp_path: Path) -> None:
    (found,) = told(tmp_path, TUNNEL, "machine")
    assert (found.code, found.message, found.span.line, found.hint) == (
        "cards-left-alone",
        "`link-namespace` moves the network cards to where nothing in the profile configures them",
        6,
        "add `own-network: {}` under `components:`",
    )


@pytest.mark.parametrize("dhcp", ["root", '"off"'])
def test_machine_keeps_a_network_that_cannot_move(tmp_path: Path, dhcp: str) -> None:
    (found,) = told(tmp_path, f"{TUNNEL}  own-network: {{dhcp: {dhcp}}}\n", "machine")
    assert (found.code, found.hint) == (
        "feature-taken-away",
        "give `own-network` another `dhcp`, or take out `link-namespace`",
    )


def test_systemd_networkd_goes_with_the_cards_of_a_machine(tmp_path: Path) -> None:
    assert told(tmp_path, f"{TUNNEL}  own-network: {{dhcp: networkd}}\n", "machine") == ()

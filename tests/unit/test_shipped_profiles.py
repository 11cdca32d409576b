# SPDX-License-Identifier: GPL-3.0-or-later
"""The profiles that are shipped, and those of the tests: each resolves without a word."""

import re
from ipaddress import ip_address, ip_network
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
OF_TESTS = sorted(EVERYTHING.parent.glob("*.yaml"))
# Source: RFC 5737.
DOCUMENTATION = [ip_network(f"{net}/24") for net in ("192.0.2.0", "198.51.100.0", "203.0.113.0")]
# With the cards beneath a tunnel there is no network that the others could be tried on.
NOT_WITH_THE_OTHERS = {"link-namespace", "openvpn", "wireguard"}
# apt goes through Tor there, and an image is neither reached nor provisioned.
NOT_WITH_THE_OTHERS |= {"apt-mirror", "own-network", "remote-access"}


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
@pytest.mark.parametrize("profile", [*SHIPPED, *OF_TESTS], ids=lambda path: path.stem)
def test_profile_resolves_without_a_word(profile: Path, target: Target) -> None:
    resolved = resolve_shipped(profile, target)
    assert resolved.name == profile.stem
    assert resolved.summary


def test_image_of_all_services_has_every_component_that_goes_with_the_others() -> None:
    catalog = load_catalog([COMPONENTS_FOLDER], SourceFolders([PROJECT])).components
    # Models are data, of which no machine holds all.
    models = {name for name, each in catalog.items() if each.manifest.model is not None}
    assert models
    present = {each.name for each in resolve_shipped(EVERYTHING).components}
    assert present - models == catalog.keys() - models - NOT_WITH_THE_OTHERS


def test_addresses_in_shipped_profiles_are_those_for_documentation() -> None:
    """A profile that is built as it is must not send anything to somebody's machine."""
    written = [
        ip_address(word)
        for path in (*SHIPPED, *OF_TESTS)
        for word in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", path.read_text())
    ]
    assert written
    assert [each for each in written if not any(each in net for net in DOCUMENTATION)] == []

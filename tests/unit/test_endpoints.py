# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and ports that texts of an option have: all that the user may send to, everywhere."""

from pathlib import Path

import pytest

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.policy.capture import compile_capture
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.egress import format_egress_chain
from gnoppix_build.policy.model import Policy
from gnoppix_build.policy.ruleset import format_ruleset
from gnoppix_build.resolve.model import read_endpoint
from gnoppix_build.resolve.resolve import resolve

BRIDGE = "0123456789ABCDEF0123456789ABCDEF01234567 cert=AAAA iat-mode=0"
PROFILE = """\
version: 1
name: top
components:
  debian-base: {}
  firewall: {}
  network-identity: {ipv6: private}
"""


@pytest.mark.parametrize(
    ("word", "endpoint"),
    [
        ("192.0.2.7:443", ("192.0.2.7", 443)),
        ("[2001:DB8::7]:65535", ("2001:db8::7", 65535)),
        ("2001:db8::7:443", None),
        ("[192.0.2.7]:443", None),
        ("192.0.2.700:443", None),
        ("192.0.2.7:0", None),
        ("192.0.2.7:65536", None),
        ("192.0.2.7", None),
        ("host:443", None),
        ("", None),
    ],
)
def test_endpoint_is_an_address_with_a_port(word: str, endpoint: tuple[str, int] | None) -> None:
    assert read_endpoint(f"obfs4 {word} {BRIDGE}") == endpoint


def policy_with(folder: Path, options: str) -> Policy:
    profile = folder / "top.yaml"
    profile.write_text(f"{PROFILE}  tor: {options}\n")
    reader = SourceFolders([PACKAGE_FOLDER, folder])
    resolution = resolve(profile, load_catalog([COMPONENTS_FOLDER], reader), reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    return compile_policy(resolution.resolved)


def test_bridges_are_all_that_is_admitted(tmp_path: Path) -> None:
    lines = f"['obfs4 192.0.2.7:443 {BRIDGE}', 'obfs4 [2001:db8::7]:9443 {BRIDGE}']"
    policy = policy_with(
        tmp_path, f"{{mode: socks, bridges: obfs4, sandbox: off, bridge-lines: {lines}}}"
    )
    wanted = {("192.0.2.7",): (443,), ("2001:db8::7",): (9443,)}
    assert {each.addresses: each.ports for each in policy.direct} == wanted
    tcp = [each for each in compile_capture(policy) if each.protocol == "tcp"]
    assert {each.addresses: each.destination_ports for each in tcp} == wanted
    for text in (format_ruleset(policy), format_egress_chain(policy)):
        ways = [line for line in text.splitlines() if "192.0.2.7" in line or "2001:db8::7" in line]
        assert len(ways) >= len(wanted)
        assert all("443" in way for way in ways)
        assert 'meta skuid "debian-tor" meta l4proto tcp' not in text


def test_without_bridges_every_relay_is_admitted(tmp_path: Path) -> None:
    policy = policy_with(tmp_path, "{mode: socks}")
    assert [(each.protocol, each.ports, each.addresses) for each in policy.direct] == [
        ("tcp", (), ())
    ]
    for text in (format_ruleset(policy), format_egress_chain(policy)):
        assert 'meta skuid "debian-tor" meta l4proto tcp' in text

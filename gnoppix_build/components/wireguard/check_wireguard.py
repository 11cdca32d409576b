# SPDX-License-Identifier: GPL-3.0-or-later
"""What `wireguard` promises of a system."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from gnoppix_build.checks.credentials import credentials_found, skip_without_credential

UNIT = "gnoppix-wireguard.service"
MARK = "0x676e"


@pytest.mark.static
@pytest.mark.running
def test_tunnel_is_enabled(host: Any) -> None:
    """The tunnel comes up at start."""
    assert host.service(UNIT).is_enabled


@pytest.mark.static
def test_key_is_not_in_the_image(host: Any) -> None:
    """No private key lies where the tunnel would take it from."""
    names = ("wireguard.private-key", "wireguard.preshared-key")
    assert credentials_found(host, names) == []


@pytest.mark.static
def test_tunnel_is_made_beneath(host: Any) -> None:
    """The interface comes out of the cards' namespace, where its packets go on."""
    drop_in = "/etc/systemd/system/gnoppix-wireguard-link.service.d/60-gnoppix-sandbox.conf"
    lines = host.file(drop_in).content_string.splitlines()
    assert "NetworkNamespacePath=/run/netns/carrier" in lines


@pytest.mark.running
def test_nothing_leads_past_the_tunnel(host: Any) -> None:
    """There is no route but by the tunnel, with a key or without."""
    routes = json.loads(host.check_output("ip -json route show"))
    assert {route["dev"] for route in routes} <= {"wg0"}


@pytest.mark.running
def test_tunnel_has_its_peer(host: Any, options: Mapping[str, object]) -> None:
    """The tunnel has one peer, the declared one, and its packets carry the policy's mark."""
    skip_without_credential(host, UNIT, "private key")
    assert host.check_output("wg show wg0 fwmark") == MARK
    endpoint = host.check_output("wg show wg0 endpoints").split()
    assert endpoint[0] == options["public-key"]
    assert endpoint[1].strip("[]").rpartition(":")[2] == str(options["port"])
    assert str(options["endpoint"]) in endpoint[1]

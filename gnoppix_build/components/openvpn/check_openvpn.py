# SPDX-License-Identifier: GPL-3.0-or-later
"""What `openvpn` promises of a system."""

import json
from typing import Any

import pytest

from gnoppix_build.checks.credentials import credentials_found, skip_without_credential

UNIT = "gnoppix-openvpn.service"
CREDENTIALS = tuple(f"openvpn.{name}" for name in ("certificate", "key", "password", "tls-crypt"))
NO_CAPABILITY = "0000000000000000"
# The directives that decide what a server may ask of this machine.
FILTER_END = 'pull-filter ignore ""'
NEVER_TAKEN = ("redirect", "route", "dhcp-option", "dns", "up", "setenv")


@pytest.mark.static
@pytest.mark.running
def test_openvpn_is_enabled(host: Any) -> None:
    """Our unit is started, and the package's own, which starts tunnels elsewhere, is masked."""
    assert host.service(UNIT).is_enabled
    assert host.service("openvpn").is_masked


@pytest.mark.static
@pytest.mark.running
def test_openvpn_has_its_number(host: Any) -> None:
    """The user of openvpn has the number that the component declares."""
    assert host.user("openvpn").uid == 115


@pytest.mark.static
def test_login_is_not_in_the_image(host: Any, profile: Any) -> None:
    """No credential lies where openvpn would take it from."""
    if profile.target != "image":
        pytest.skip("a machine has keys of its own")
    assert credentials_found(host, CREDENTIALS) == []


@pytest.mark.static
def test_server_decides_nothing_but_addresses(host: Any) -> None:
    """What a server pushes is ignored unless a line admits it, and none admits a route."""
    lines = host.file("/etc/gnoppix/openvpn.conf").content_string.splitlines()
    filters = [line for line in lines if line.startswith("pull-filter")]
    assert filters[-1] == FILTER_END
    taken = [line.split('"')[1] for line in filters[:-1] if line.split()[1] == "accept"]
    strange = [each for each in taken for never in NEVER_TAKEN if never.startswith(each.strip())]
    assert strange == []
    assert {"ifconfig-noexec", "route-noexec"} <= {*lines}


@pytest.mark.running
def test_nothing_leads_past_the_tunnel(host: Any) -> None:
    """There is no route but by the tunnel, connected or not."""
    routes = json.loads(host.check_output("ip -json route show"))
    assert {route["dev"] for route in routes} <= {"tun0"}


@pytest.mark.running
def test_openvpn_is_confined(host: Any) -> None:
    """The process runs beneath the tunnel, as its own user, without a capability."""
    skip_without_credential(host, UNIT, "login")
    pid = host.check_output(f"systemctl show --property=MainPID --value {UNIT}")
    status = host.file(f"/proc/{pid}/status").content_string
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert fields["Uid"].split() == ["115"] * 4
    assert {fields[name].strip() for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {
        NO_CAPABILITY
    }
    inside = host.check_output("ip netns exec carrier readlink /proc/self/ns/net")
    assert host.check_output(f"readlink /proc/{pid}/ns/net") == inside

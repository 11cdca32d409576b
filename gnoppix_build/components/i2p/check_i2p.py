# SPDX-License-Identifier: GPL-3.0-or-later
"""What `i2p` promises of a system."""

import time
from collections.abc import Mapping
from configparser import ConfigParser
from typing import Any

import pytest

UNIT = "i2pd.service"
CONFIGURATION = "/etc/i2pd/gnoppix.conf"
# It opens them after it has looked for first peers, which a network may let take its time.
PROXIES_OPEN_S = 45
PROXIES = {"httpproxy", "socksproxy"}


def settings(host: Any) -> ConfigParser:
    """Read the router's settings; those before the first section are in `router`."""
    parser = ConfigParser(interpolation=None, strict=True)
    parser.read_string(f"[router]\n{host.file(CONFIGURATION).content_string}")
    return parser


def process(host: Any) -> str:
    """Give the number of the router's process."""
    pid: str = host.check_output(f"systemctl show --property=MainPID --value {UNIT}")
    assert pid != "0", f"`{UNIT}` has no process"
    return pid


@pytest.mark.static
@pytest.mark.running
def test_router_has_its_number(host: Any) -> None:
    """The user of i2pd has the number that the component declares."""
    assert host.user("i2pd").uid == 111


@pytest.mark.static
def test_router_reads_only_our_file(host: Any) -> None:
    """The unit names the component's own configuration, and none of the package's."""
    drop_in = f"/etc/systemd/system/{UNIT}.d/50-gnoppix.conf"
    lines = host.file(drop_in).content_string.splitlines()
    starts = [line for line in lines if line.startswith("ExecStart=/")]
    assert starts == [f"ExecStart=/usr/bin/i2pd --datadir=/var/lib/i2pd --conf={CONFIGURATION}"]
    assert {"Environment=", "EnvironmentFile="} <= {*lines}


@pytest.mark.static
def test_router_without_peers_is_started_afresh(host: Any) -> None:
    """A router that met no network when it started does not stay alone."""
    assert host.service("gnoppix-i2p-restart.timer").is_enabled


@pytest.mark.static
def test_router_opens_nothing_but_its_proxies(host: Any, options: Mapping[str, Any]) -> None:
    """No console, no control port and no further tunnel is configured."""
    known = settings(host)
    enabled = {
        name for name in known.sections() if known.getboolean(name, "enabled", fallback=False)
    }
    transports = {"ntcp2", "ssu2"} if options["inbound"] else {"ntcp2"}
    assert enabled == PROXIES | transports
    assert {known[name]["address"] for name in PROXIES} == {"127.0.0.1"}
    folder = known["router"]["tunnelsdir"]
    assert not host.file(folder).exists, f"tunnels may be in `{folder}`"


@pytest.mark.static
def test_router_carries_nothing_for_others(host: Any) -> None:
    """The router refuses transit, is no floodfill, and verifies where its first peers come from."""
    known = settings(host)
    assert known.getboolean("router", "notransit")
    assert not known.getboolean("router", "floodfill")
    assert known.getboolean("reseed", "verify")


@pytest.mark.running
def test_router_is_running(host: Any) -> None:
    """The router has started and stays."""
    assert host.service(UNIT).is_running


@pytest.mark.running
def test_router_is_confined_by_apparmor(host: Any) -> None:
    """The package's AppArmor profile is enforced on the router."""
    assert host.check_output(f"cat /proc/{process(host)}/attr/current") == "i2pd (enforce)"


@pytest.mark.running
def test_router_listens_only_where_it_says(host: Any, options: Mapping[str, Any]) -> None:
    """The router's sockets are its proxies, and its port if others may connect."""
    expected = {("tcp", f"127.0.0.1:{options[name]}") for name in ("http-port", "socks-port")}
    if options["inbound"]:
        expected |= {(protocol, f"0.0.0.0:{options['port']}") for protocol in ("tcp", "udp")}
    found: set[tuple[str, str]] = set()
    deadline = time.monotonic() + PROXIES_OPEN_S
    while found != expected and time.monotonic() < deadline:
        lines = host.check_output("ss -H -l -n -t -u -p").splitlines()
        own = [line.split() for line in lines if f"pid={process(host)}," in line]
        found = {(fields[0], fields[4]) for fields in own}
        time.sleep(1)
    assert found == expected

# SPDX-License-Identifier: GPL-3.0-or-later
"""apt as it is rendered, behind the firewall, in a private Tor network."""

import re
from collections.abc import Iterator

import pytest
from lab_root import PACKAGES, make_lab_root
from net_namespace import Namespace
from tor_container import Container, booted
from tor_network import TorNetwork
from tor_servers import WEB_ADDRESS

pytestmark = pytest.mark.root

APT = 42
COMPONENTS = "  apt-onion: {refresh: daily}\n  tor: {socks-port: 9055}\n"
HELPER = "/usr/lib/apt/apt-helper"
REFRESH = "gnoppix-apt-refresh.service"
ONION = r"'tor\+http://[a-z2-7]{56}\.onion/debian"
FOREIGN = "deb [trusted=yes] http://192.0.2.1/foreign any main"
CONNECT = f"import socket; socket.create_connection(('{WEB_ADDRESS}', 80), 5)"


@pytest.fixture(scope="module")
def machine(
    tor_network: TorNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    root = make_lab_root((*PACKAGES, "apt-transport-tor"))
    work = tmp_path_factory.mktemp("apt")
    with Namespace(root, work) as client:
        client.set("ipv6/conf/all/disable_ipv6", "1")
        with (
            tor_network.attach(client),
            booted(root, work, tor_network.authorities, client, COMPONENTS) as container,
        ):
            container.wait_for_journal("tor@default.service", "Bootstrapped 100%")
            yield container


def test_apt_fetches_through_tor(machine: Container, tor_network: TorNetwork) -> None:
    asked = len(tor_network.web_log)
    machine.said(HELPER, "download-file", f"tor+http://{tor_network.web_name}/page", "/tmp/page")
    assert machine.said("cat", "/tmp/page") == tor_network.web_text
    assert "/page" in {line[2] for line in tor_network.web_log[asked:]}


def test_apt_fetches_nothing_past_tor(machine: Container, tor_network: TorNetwork) -> None:
    tried = machine.run(HELPER, "download-file", f"http://{WEB_ADDRESS}/plain", "/tmp/plain")
    assert tried.returncode == 100
    assert "The method 'http' is explicitly disabled via configuration." in tried.stderr
    assert "/plain" not in {line[2] for line in tor_network.web_log}


def test_user_of_apt_connects_to_tor_only(machine: Container) -> None:
    refused = machine.run("python3", "-c", CONNECT, user=APT)
    assert "ConnectionRefusedError" in refused.stderr


def test_other_sources_are_not_read(machine: Container) -> None:
    machine.said("sh", "-c", f"echo '{FOREIGN}' | tee /etc/apt/sources.list.d/foreign.list")
    machine.said("sh", "-c", f"echo '{FOREIGN}' | tee /etc/apt/sources.list")
    lines = machine.said("apt-get", "--print-uris", "update").splitlines()
    assert lines
    assert [line for line in lines if not re.match(ONION, line)] == []


def test_refresh_is_skipped_while_there_is_no_way_out(machine: Container) -> None:
    route = machine.said("cat", "/proc/net/route").splitlines()
    assert [line.split()[1] for line in route].count("00000000") == 1
    machine.said("ip", "route", "delete", "default")
    try:
        machine.said("systemctl", "start", REFRESH)
        result = machine.said("systemctl", "show", "--property=Result", "--value", REFRESH)
    finally:
        machine.said("ip", "route", "add", "default", "via", "10.0.2.2")
    assert result == "exec-condition"


def test_refresh_tries_the_onion_services(machine: Container) -> None:
    """It finds none of them in a private network, and says so by the unit's result."""
    machine.said("systemctl", "start", "--no-block", REFRESH)
    machine.wait_for_journal(REFRESH, "onion/debian")
    machine.said("systemctl", "stop", REFRESH)
    score = machine.said("systemd-analyze", "security", "--no-pager", REFRESH).splitlines()[-1]
    assert float(score.split(": ")[1].split()[0]) <= 2.2

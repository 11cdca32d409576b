# SPDX-License-Identifier: GPL-3.0-or-later
"""The private Tor network: a client of it gets through, and its frames show how."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from net_namespace import Namespace
from socks import fetch_page
from tor_network import GATEWAY, TorNetwork
from tor_servers import AUTHORITIES, BRIDGE, RELAYS

pytestmark = pytest.mark.root

CLIENT_RC = "SocksPort 9050\nDataDirectory /mnt/data\nLog notice file /mnt/notice.log\n"
DONE = "Bootstrapped 100%"
TIMEOUT_S = 60.0
ETHERTYPE_ARP = b"\x08\x06"


@contextmanager
def bootstrapped_client(client: Namespace, work: Path, lines: str) -> Iterator[None]:
    """Run a tor with these lines in a namespace until the block ends."""
    (work / "torrc").write_text(CLIENT_RC + lines)
    process = client.start(client.command_in_root("tor", "--quiet", "-f", "/mnt/torrc"))
    deadline = time.monotonic() + TIMEOUT_S
    log = work / "notice.log"
    while not (log.exists() and DONE in log.read_text()):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    yield
    client.stop(process)


def destinations(frames: list[bytes]) -> set[str]:
    """Name where frames went: `arp`, `protocol address port`, or the type of anything else."""
    found = set()
    for frame in frames:
        if frame[12:14] == ETHERTYPE_ARP:
            found.add(f"arp {socket.inet_ntoa(frame[38:42])}")
        elif frame[12:14] == b"\x08\x00":
            port = int.from_bytes(frame[36:38], "big")
            found.add(f"{frame[23]} {socket.inet_ntoa(frame[30:34])} {port}")
        else:
            found.add(frame[12:14].hex())
    return found


@pytest.fixture
def client(lab_root: Path, tmp_path: Path) -> Iterator[Namespace]:
    with Namespace(lab_root, tmp_path) as namespace:
        namespace.set("ipv6/conf/all/disable_ipv6", "1")
        yield namespace


def test_client_knows_only_the_authorities(
    client: Namespace, tor_network: TorNetwork, tmp_path: Path
) -> None:
    lines = "\n".join((*tor_network.authorities, ""))
    with (
        tor_network.attach(client) as cable,
        cable.recorded() as frames,
        bootstrapped_client(client, tmp_path, lines),
    ):
        pages = [
            fetch_page(client, tor_network.web_name, socks_port=9050),
            fetch_page(client, tor_network.onion, socks_port=9050),
        ]
    assert pages == [tor_network.web_text, tor_network.onion_text]
    directory = {f"6 {each.address} {each.port}" for each in (*AUTHORITIES, *RELAYS)}
    assert destinations(frames) - directory <= {f"arp {GATEWAY}"}
    # Who watches the client sees no exit, the web server only exits.
    assert {asked[1] for asked in tor_network.web_log} <= {"203.0.113.101", "203.0.113.102"}


def test_client_behind_a_bridge_talks_to_nobody_else(
    client: Namespace, tor_network: TorNetwork, tmp_path: Path
) -> None:
    lines = [
        *tor_network.authorities,
        "UseBridges 1",
        "ClientTransportPlugin obfs4 exec /usr/bin/obfs4proxy",
        f"Bridge {tor_network.bridge_line}\n",
    ]
    with (
        tor_network.attach(client) as cable,
        cable.recorded() as frames,
        bootstrapped_client(client, tmp_path, "\n".join(lines)),
    ):
        page = fetch_page(client, tor_network.web_name, socks_port=9050)
    assert page == tor_network.web_text
    assert destinations(frames) - {f"arp {GATEWAY}"} == {f"6 {BRIDGE.address} {BRIDGE.port}"}


def test_recording_shows_a_packet_that_goes_past_tor(
    client: Namespace, tor_network: TorNetwork
) -> None:
    with tor_network.attach(client) as cable, cable.recorded() as frames:
        with client.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
            probe.sendto(b"marked", ("9.9.9.9", 53))
        time.sleep(0.2)
    assert "17 9.9.9.9 53" in destinations(frames)


def test_container_boots_and_gets_an_address_by_dhcp(
    client: Namespace, lab_root: Path, tor_network: TorNetwork, tmp_path: Path
) -> None:
    settings = tmp_path / "lan.network"
    settings.write_text("[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n")
    boot = (
        *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--volatile=overlay"),
        *("--boot", "--console=pipe", f"--machine=lan-{os.getpid()}", "--directory", lab_root),
        *(f"--network-namespace-path={client.path}", "--capability=CAP_NET_ADMIN"),
        f"--bind-ro={settings}:/etc/systemd/network/10-lan.network",
    )
    console = tmp_path / "console"
    with tor_network.attach(client, with_address=False), console.open("wb") as log:
        container = client.start(boot, log)
        deadline = time.monotonic() + TIMEOUT_S
        while "10.0.2." not in (
            shown := client.run("ip", "-4", "address", "show", "eth0").decode()
        ):
            assert time.monotonic() < deadline, shown
            assert container.poll() is None, console.read_text()
            time.sleep(0.2)
        # Killed outright it would leave its place below /run behind.
        container.terminate()
        container.wait(TIMEOUT_S)
    assert any(f"{address}/24" in shown for address in tor_network.leases.values())


def test_container_gets_the_lan_by_its_path(
    client: Namespace, lab_root: Path, tor_network: TorNetwork
) -> None:
    with tor_network.attach(client):
        shown = subprocess.run(
            (
                *(
                    "systemd-nspawn",
                    "--quiet",
                    "--register=no",
                    "--keep-unit",
                    "--volatile=overlay",
                ),
                *("--pipe", "--directory", lab_root, f"--network-namespace-path={client.path}"),
                *("ip", "-brief", "-4", "address", "show", "dev", "eth0"),
            ),
            capture_output=True,
            text=True,
            check=False,
        )
    assert shown.stdout.split()[2].startswith("10.0.2."), shown.stderr

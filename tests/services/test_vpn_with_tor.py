# SPDX-License-Identifier: GPL-3.0-or-later
"""A VPN over Tor, and Tor over a VPN, in a private Tor network."""

import sys
import time
from pathlib import Path

import pytest
import vpn_far_end as far_end
from net_namespace import Namespace
from socks import fetch_page
from tor_network import GATEWAY, TorNetwork
from tor_servers import AUTHORITIES, RELAYS, WEB_ADDRESS
from vpn_container import Container
from vpn_far_end import FarEnd
from vpn_line import (
    OPENVPN,
    Line,
    give_login,
    make_machine,
    make_vpn_root,
    strangers_among,
    wireguard_line,
)

pytestmark = pytest.mark.root

TOR = "tor@default.service"
REACHED = "test_each_user_reaches_what_the_policy_says"
VPN_PORT = 8443
ETHERTYPE_IPV4 = b"\x08\x00"
SERVERS = {each.address for each in (*AUTHORITIES, *RELAYS)}
# The kernel of a test machine may have no AppArmor.
WITHOUT_APPARMOR = b"[Service]\nAppArmorProfile=\n"


@pytest.fixture(scope="module")
def vpn_root() -> Path:
    return make_vpn_root()


def join(machine: Container, network: TorNetwork) -> None:
    """Make the private network's authorities those of the machine's tor."""
    torrc = machine.read("etc/tor/gnoppix.torrc")
    lines = [
        line if line.startswith("DirAuthority") else f"DirAuthority {line}"
        for line in network.authorities
    ]
    machine.write("etc/tor/gnoppix.torrc", "\n".join((torrc, *lines, "")).encode())
    machine.write("etc/systemd/system/tor@default.service.d/70-lab.conf", WITHOUT_APPARMOR)


def destinations(frames: list[bytes]) -> set[str]:
    """Give where IPv4 packets went."""
    return {".".join(map(str, frame[30:34])) for frame in frames if frame[12:14] == ETHERTYPE_IPV4}


def test_vpn_goes_over_tor(vpn_root: Path, tor_network: TorNetwork, tmp_path: Path) -> None:
    """The tunnel's server is reached by Tor only, and when tor ends nothing is sent instead."""
    with (
        Namespace() as network,
        FarEnd(vpn_root, tmp_path) as far,
        tor_network.attach(network, with_address=False) as cable,
    ):
        network.run("ip", "link", "set", "eth0", "down")
        far.make_certificates()
        options = f"ca: /etc/openvpn/ca.crt, over: tor, port: {VPN_PORT}, protocol: tcp"
        vpn = f"openvpn: {{{options}, server: {WEB_ADDRESS}}}\n  tor: {{mode: socks}}"
        machine = make_machine(vpn, vpn_root, tmp_path, network)
        give_login(machine, tmp_path)
        join(machine, tor_network)
        server = far.start_openvpn("tcp-server", WEB_ADDRESS, VPN_PORT)
        web = tor_network.web
        greeting = (str(far_end.GREETING_PORT), far_end.GREETING)
        servers = [
            web.start(web.command(*server)),
            web.start(web.command(sys.executable, "-c", far_end.GREETER, *greeting)),
        ]
        with cable.recorded() as frames, machine:
            line = Line(machine, far, far_end.INSIDE_OPENVPN, OPENVPN, "tun0")
            machine.beneath("ip", "address", "add", "10.0.2.77/24", "dev", "eth0")
            machine.beneath("ip", "route", "add", "default", "via", GATEWAY)
            machine.wait_until(line.is_through, "way through the tunnel", timeout_s=90)
            with line.probing():
                machine.run("systemctl", "kill", "--signal=KILL", TOR)
                time.sleep(1)
            checks_see_what_is_beneath(machine)
        assert strangers_among(frames, machine) == []
        assert destinations(frames) - {"255.255.255.255"} <= SERVERS
        for each in servers:
            web.stop(each)


def checks_see_what_is_beneath(machine: Container) -> None:
    """The checks of sockets and of who reaches them hold, and fail where the rules are gone."""
    sockets, users = "test_sockets_are_those_of_the_policy", REACHED
    found = machine.check("firewall")
    assert {found[each].outcome for each in (sockets, users)} == {"pass"}, found
    assert machine.check("tor")["test_tor_listens_only_where_it_says"].outcome == "pass"
    with machine.listening_beneath(22):
        assert machine.check("firewall")[sockets].outcome == "fail"
    # What listens beneath the tunnel is knocked at from both sides of it.
    machine.beneath("nft", "flush", "ruleset")
    assert machine.check("firewall")[users].evidence.startswith("carrier")
    machine.run("nft", "flush", "ruleset")
    assert machine.check("firewall")[users].evidence.startswith("system")


def test_tor_goes_over_vpn(vpn_root: Path, tor_network: TorNetwork, tmp_path: Path) -> None:
    """Tor reaches its network through the tunnel, and nobody else goes through it."""
    tor = "\n  tor: {mode: socks}"
    with wireguard_line(
        vpn_root, tmp_path, "traffic: declared, ", tor, lambda each: join(each, tor_network)
    ) as line:
        far = line.far.namespace
        with tor_network.attach(far):
            far.set("ipv4/ip_forward", "1")
            far.run("nft", "-f", "-", stdin=MASQUERADE)
            machine = line.machine
            machine.wait_until(
                lambda: "Bootstrapped 100%" in machine.run("journalctl", "--unit", TOR),
                "bootstrapped tor",
                timeout_s=90,
            )
            with line.probed() as strangers:
                page = fetch_page(machine.network, tor_network.web_name, socks_port=9050)
            assert page == tor_network.web_text
            assert strangers == []
            assert not line.is_through(), "a user without a way out went through the tunnel"


MASQUERADE = b"""
table ip lab {
    chain post {
        type nat hook postrouting priority 100;
        oifname "eth0" masquerade
    }
}
"""

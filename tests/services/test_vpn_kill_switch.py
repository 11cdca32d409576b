# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing leaves a machine with a VPN but the VPN, whatever ends and in whatever order."""

import itertools
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import vpn_far_end as far_end
from lab_root import PACKAGES, make_lab_root
from net_namespace import Namespace
from vpn_container import CARD, Container, resolve_profile
from vpn_far_end import FarEnd

from gnoppix_build.effects.process import CLEAN_ENVIRONMENT
from gnoppix_build.policy.capture import compile_capture, judge_frames

pytestmark = pytest.mark.root

VPN_PACKAGES = ("dnsmasq-base", "openssl", "openvpn", "wireguard-go", "wireguard-tools")
FIREWALL, BENEATH = "gnoppix-firewall.service", "gnoppix-carrier.service"
NETWORKD = "systemd-networkd.service"
WIREGUARD, OPENVPN = "gnoppix-wireguard.service", "gnoppix-openvpn.service"
PROFILE = """
version: 1
name: vpn
components:
  debian-base: {{}}
  firewall: {{}}
  link-namespace: {{}}
  network-identity: {{consent: {consent}}}
  {vpn}
"""
ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1) as s:
    assert s.recv(100).decode() == sys.argv[3]
"""
# A WireGuard that is a program stands in for the kernel's where the test's kernel has none: made in
# the same namespace, moved to the same place. It is a program with root's socket, so the rule that
# leaves the kernel's mark to the kernel is taken out.
NO_KERNEL_WIREGUARD = {
    "gnoppix-wireguard-link.service": """[Service]
ExecStart=
ExecStart=/usr/bin/wireguard-go wg0
ExecStart=/usr/sbin/ip link set dev wg0 netns system
DeviceAllow=/dev/net/tun rw
PrivateDevices=no
ReadWritePaths=/run
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
IPAddressDeny=
""",
    "gnoppix-wireguard.service": "[Service]\nRestrictAddressFamilies=AF_NETLINK AF_UNIX\n",
}
# What the prober sends, in the judge's words.
PROBES = {
    "IPv4 tcp to 192.0.2.1 port 4242",
    "IPv4 tcp to 198.51.100.1 port 4242",
    "IPv4 udp to 192.0.2.1 port 4242",
    "IPv4 udp to 198.51.100.1 port 4242",
    "IPv4 udp to 255.255.255.255 port 4242",
    "an IPv4 packet of protocol 1 to 192.0.2.1",
    "an IPv4 packet of protocol 1 to 198.51.100.1",
}
KERNELS_CLAIM = "meta mark 0x0000676e meta skuid 0-4294967294"
PROBER = Path(__file__).with_name("vpn_prober.py")


@dataclass(frozen=True)
class Line:
    """A machine with a VPN, the far end of its cable, and what is inside the tunnel."""

    machine: Container
    far: FarEnd
    inside: str
    unit: str
    interface: str

    def is_through(self) -> bool:
        """Tell whether a program of the machine reaches what is inside the tunnel."""
        greeting = (str(far_end.GREETING_PORT), far_end.GREETING)
        return self.machine.tries("python3", "-c", ASK, self.inside, *greeting)

    def restore(self) -> None:
        """Start whatever a test has stopped, and wait for the tunnel."""
        self.far.set_link("up")
        self.machine.start(FIREWALL, BENEATH, NETWORKD, self.unit)
        self.machine.wait_until(self.is_through, "way through the tunnel")

    @contextmanager
    def probed(self) -> Iterator[list[str]]:
        """Give a list that holds, after the block, what left beside the tunnel, told in words.

        Something in the machine tries to, all the while.
        """
        strangers: list[str] = []
        with self.far.recorded() as frames, self._prober(), self._prober(beneath=True):
            yield strangers
        rules = compile_capture(self.machine.policy)
        found = judge_frames(frames, rules, frozenset())
        strangers += sorted({each.description for each in found})

    @contextmanager
    def _prober(self, *, beneath: bool = False) -> Iterator[None]:
        enter = ("nsenter", "--net=/run/netns/carrier", "--") if beneath else ()
        process = subprocess.Popen(
            self.machine.command(*enter, "python3", "/root/prober.py"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=CLEAN_ENVIRONMENT,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", "the prober made no round"
        try:
            yield
        finally:
            process.communicate(b"end\n", timeout=20)
        assert process.returncode == 0, "the prober ended too early"


def has_kernel_wireguard() -> bool:
    """Tell whether the kernel of the test can make WireGuard interfaces."""
    add = ("unshare", "--net", "ip", "link", "add", "type", "wireguard")
    done = subprocess.run(add, capture_output=True, check=False, env=CLEAN_ENVIRONMENT)
    return done.returncode == 0


def make_machine(
    vpn: str, lab_root: Path, work: Path, network: Namespace, consent: str = "off"
) -> Container:
    """Make the machine of a profile with a VPN; it is not yet started."""
    profile = work / "vpn.yaml"
    profile.write_text(PROFILE.format(vpn=vpn, consent=consent))
    machine = Container(resolve_profile(profile), lab_root, work / "machine", network)
    machine.write("root/prober.py", PROBER.read_bytes())
    return machine


def without_kernel_wireguard(machine: Container) -> None:
    for unit, text in NO_KERNEL_WIREGUARD.items():
        machine.write(f"etc/systemd/system/{unit}.d/70-lab.conf", text.encode())
    for path in ("etc/gnoppix/carrier.nft", "etc/gnoppix/carrier-egress.nft"):
        lines = machine.read(path).splitlines(keepends=True)
        kept = [line for line in lines if KERNELS_CLAIM not in line]
        assert len(kept) == len(lines) - 1, f"`{path}` does not reserve the mark as it used to"
        machine.write(path, "".join(kept).encode())


@pytest.fixture(scope="module")
def vpn_root() -> Path:
    return make_lab_root((*PACKAGES, *VPN_PACKAGES))


@pytest.fixture(scope="module")
def wireguard(vpn_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    work = tmp_path_factory.mktemp("wireguard")
    with Namespace() as network, FarEnd(vpn_root, work) as far:
        far.connect(network, CARD)
        private, public = far.make_wireguard_keys()
        options = f"{{addresses: [{far_end.WIREGUARD_ADDRESS}], endpoint: {far_end.ROUTER}, "
        vpn = f"wireguard: {options}public-key: {public}}}"
        machine = make_machine(vpn, vpn_root, work, network)
        machine.write("etc/credstore/wireguard.private-key", private.encode(), 0o600)
        in_kernel = has_kernel_wireguard()
        if not in_kernel:
            without_kernel_wireguard(machine)
        far.start_wireguard(in_kernel=in_kernel)
        with machine:
            yield Line(machine, far, far_end.INSIDE_WIREGUARD, WIREGUARD, "wg0")


@contextmanager
def openvpn_line(protocol: str, vpn_root: Path, work: Path) -> Iterator[Line]:
    with Namespace() as network, FarEnd(vpn_root, work) as far:
        far.connect(network, CARD)
        far.make_certificates()
        options = f"ca: /etc/openvpn/ca.crt, protocol: {protocol}, server: {far_end.ROUTER}"
        machine = make_machine(f"openvpn: {{{options}}}", vpn_root, work, network)
        credentials = {"certificate": "client.crt", "key": "client.key"}
        for name, file in credentials.items():
            content = (work / file).read_bytes()
            machine.write(f"etc/credstore/openvpn.{name}", content, 0o600)
        machine.write("etc/openvpn/ca.crt", (work / "ca.crt").read_bytes())
        far.start_openvpn(protocol)
        with machine:
            yield Line(machine, far, far_end.INSIDE_OPENVPN, OPENVPN, "tun0")


@pytest.fixture(scope="module")
def openvpn(vpn_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with openvpn_line("udp", vpn_root, tmp_path_factory.mktemp("openvpn")) as given:
        given.restore()
        yield given


@pytest.fixture(params=["wireguard", "openvpn"])
def line(request: pytest.FixtureRequest) -> Line:
    given: Line = request.getfixturevalue(request.param)
    given.restore()
    return given


def test_vpn_carries_traffic_and_hides_it(line: Line) -> None:
    with line.far.recorded() as frames:
        assert line.is_through()
    assert judge_frames(frames, compile_capture(line.machine.policy), frozenset()) == ()
    assert frames, "the greeting did not come by the cable"
    assert not any(far_end.GREETING.encode() in frame for frame in frames)


def test_openvpn_over_tcp_carries_traffic(vpn_root: Path, tmp_path: Path) -> None:
    with openvpn_line("tcp", vpn_root, tmp_path) as line, line.probed() as strangers:
        line.restore()
    assert strangers == []


def delete_interface(line: Line) -> None:
    line.machine.run("ip", "link", "delete", "dev", line.interface)


def pull_plug(line: Line) -> None:
    line.far.set_link("down")
    time.sleep(0.3)
    line.far.set_link("up")


def kill_tunnel(line: Line) -> None:
    line.machine.tries("systemctl", "kill", "--signal=KILL", line.unit)


def kill_networkd(line: Line) -> None:
    line.machine.run("systemctl", "kill", "--signal=KILL", NETWORKD)


def replace_card(line: Line) -> None:
    line.far.replace_card(line.machine.network, CARD)


def restart_tunnel(line: Line) -> None:
    line.machine.run("systemctl", "restart", line.unit)


def stop(unit: str) -> Callable[[Line], None]:
    def stop_unit(line: Line) -> None:
        line.machine.run("systemctl", "stop", unit or line.unit)

    return stop_unit


EVENTS: Mapping[str, Callable[[Line], None]] = {
    "interface deleted": delete_interface,
    "plug pulled": pull_plug,
    "tunnel killed": kill_tunnel,
    "tunnel stopped": stop(""),
    "tunnel restarted": restart_tunnel,
    "rules beneath stopped": stop(BENEATH),
    "firewall stopped": stop(FIREWALL),
    "network manager stopped": stop(NETWORKD),
    "network manager killed": kill_networkd,
    "card replaced": replace_card,
}


@pytest.mark.parametrize("event", EVENTS)
def test_nothing_leaves_beside_the_tunnel_when(event: str, line: Line) -> None:
    with line.probed() as strangers:
        EVENTS[event](line)
        time.sleep(0.5)
        line.restore()
    assert strangers == []


def test_nothing_leaves_in_any_order_of_stopping(wireguard: Line) -> None:
    wireguard.restore()
    units = (FIREWALL, BENEATH, NETWORKD, WIREGUARD)
    with wireguard.probed() as strangers:
        for order in itertools.permutations(units):
            for unit in order:
                wireguard.machine.run("systemctl", "stop", unit)
            wireguard.machine.run("systemctl", "reset-failed")
            wireguard.machine.start(*units)
    assert strangers == []


def test_card_that_comes_back_to_the_system_is_taken_beneath_again(line: Line) -> None:
    with line.probed() as strangers:
        line.machine.beneath("ip", "link", "set", CARD, "netns", "system")
        line.machine.wait_until(lambda: CARD in line.machine.beneath("ip", "link"), "card beneath")
        line.restore()
    assert strangers == []


def test_every_probe_shows_once_the_kill_switch_is_gone(wireguard: Line) -> None:
    """The card's absence is what holds the probes back, and the judge sees them: the control."""
    machine = wireguard.machine
    wireguard.restore()
    with wireguard.probed() as strangers:
        machine.run("systemctl", "stop", NETWORKD, WIREGUARD, BENEATH)
        machine.beneath("ip", "link", "set", CARD, "netns", "system")
        machine.run("nft", "flush", "ruleset")
        machine.run("ip", "address", "add", "198.51.100.99/24", "dev", CARD)
        machine.run("ip", "link", "set", CARD, "up")
        machine.run("ip", "route", "add", "default", "via", far_end.ROUTER)
        time.sleep(0.5)
    machine.start(FIREWALL, BENEATH, f"gnoppix-carried@{CARD}.service")
    assert PROBES.issubset(strangers)


def test_rules_beneath_hold_back_what_root_sends_there(wireguard: Line) -> None:
    """Where the card is, rules hold the probes back; without them they show."""
    wireguard.restore()
    with wireguard.probed() as strangers:
        wireguard.machine.beneath("nft", "flush", "ruleset")
        time.sleep(0.5)
    wireguard.machine.run("systemctl", "restart", BENEATH)
    wireguard.machine.start(f"gnoppix-carried@{CARD}.service")
    assert PROBES.issubset(strangers)

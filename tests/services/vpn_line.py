# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with a VPN and the far end of its cable, and what leaves beside the tunnel."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import vpn_far_end as far_end
from lab_root import PACKAGES, make_lab_root
from net_namespace import Namespace
from vpn_container import CARD, Container, resolve_profile
from vpn_far_end import FarEnd

from gnoppix_build.effects.process import CLEAN_ENVIRONMENT
from gnoppix_build.policy.capture import compile_capture, judge_frames

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
        """Give a list that holds, after the block, what left beside the tunnel, told in words."""
        strangers: list[str] = []
        with self.far.recorded() as frames, self.probing():
            yield strangers
        strangers += strangers_among(frames, self.machine)

    @contextmanager
    def probing(self) -> Iterator[None]:
        """Have something try, all through the block, to send past the tunnel, in both places."""
        with self._prober(), self._prober(beneath=True):
            yield

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


def make_vpn_root() -> Path:
    """Give the lab's tree with VPNs, for reading only."""
    return make_lab_root((*PACKAGES, *VPN_PACKAGES))


@contextmanager
def openvpn_line(protocol: str, vpn_root: Path, work: Path) -> Iterator[Line]:
    with Namespace() as network, FarEnd(vpn_root, work) as far:
        far.connect(network, CARD)
        far.make_certificates()
        options = f"ca: /etc/openvpn/ca.crt, protocol: {protocol}, server: {far_end.ROUTER}"
        machine = make_machine(f"openvpn: {{{options}}}", vpn_root, work, network)
        give_login(machine, work)
        far.start_openvpn(protocol)
        with machine:
            yield Line(machine, far, far_end.INSIDE_OPENVPN, OPENVPN, "tun0")


def give_login(machine: Container, work: Path) -> None:
    """Give a machine what its OpenVPN logs in with."""
    for name, file in (("certificate", "client.crt"), ("key", "client.key")):
        machine.write(f"etc/credstore/openvpn.{name}", (work / file).read_bytes(), 0o600)
    machine.write("etc/openvpn/ca.crt", (work / "ca.crt").read_bytes())


def strangers_among(frames: list[bytes], machine: Container) -> list[str]:
    """Tell in words which frames the machine's policy does not let it send."""
    found = judge_frames(frames, compile_capture(machine.policy), frozenset())
    return sorted({each.description for each in found})


@contextmanager
def wireguard_line(
    vpn_root: Path,
    work: Path,
    options: str = "",
    beside: str = "",
    prepare: Callable[[Container], None] = lambda _: None,
    consent: str = "off",
) -> Iterator[Line]:
    """Give a machine with WireGuard; `beside` are further components."""
    with Namespace() as network, FarEnd(vpn_root, work) as far:
        far.connect(network, CARD)
        private, public = far.make_wireguard_keys()
        own = f"addresses: [{far_end.WIREGUARD_ADDRESS}], endpoint: {far_end.ROUTER}, {options}"
        vpn = f"wireguard: {{{own}public-key: {public}}}{beside}"
        machine = make_machine(vpn, vpn_root, work, network, consent)
        machine.write("etc/credstore/wireguard.private-key", private.encode(), 0o600)
        in_kernel = has_kernel_wireguard()
        if not in_kernel:
            without_kernel_wireguard(machine)
        far.start_wireguard(in_kernel=in_kernel)
        prepare(machine)
        with machine:
            yield Line(machine, far, far_end.INSIDE_WIREGUARD, WIREGUARD, "wg0")

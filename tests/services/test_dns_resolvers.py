# SPDX-License-Identifier: GPL-3.0-or-later
"""The resolvers of `dns`, in their sandbox, against a server of each protocol, on a recorded cable.

There is no firewall here: what is seen is what the resolvers do by themselves. Beside the server
that they are told of, one that anybody may ask in the clear would answer as well.
"""

import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from container import Container
from lab_root import make_lab_root
from net_namespace import Namespace, connect, recorded_frames

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, KINDS_FOLDER, load_catalog
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.render.configuration import render_files
from gnoppix_build.render.tree import ImageFile
from gnoppix_build.resolve.resolve import resolve

pytestmark = pytest.mark.root

# What the packages of the tree start by themselves; dnsdist is for the server alone.
OTHERS_ON_PORT_53 = ("dnscrypt-proxy.socket", "dnscrypt-proxy-resolvconf", "dnsdist")
PACKAGES = (
    *("ca-certificates", "dbus", "dnscrypt-proxy", "dnsdist", "iproute2", "openssl", "procps"),
    *("python3-minimal", "systemd", "systemd-resolved", "systemd-sysv", "udev"),
)
CLIENT, SERVER = "198.51.100.10", "198.51.100.53"
NAME, PROVIDER = "dns.example.net", "2.dnscrypt-cert.example.net"
ANSWER = "203.0.113.80"
MARK = b"marked-name"
PRIVATE_ADDRESS = "7.1.168.192.in-addr.arpa"
PORTS = {"dot": 853, "doh": 443, "dnscrypt": 8443}
PROTOCOLS = {"dot": socket.IPPROTO_TCP, "doh": socket.IPPROTO_TCP, "dnscrypt": socket.IPPROTO_UDP}
ATTEMPTS = 3
UNITS = {
    "dot": "systemd-resolved.service",
    "doh": "dnscrypt-proxy.service",
    "dnscrypt": "dnscrypt-proxy.service",
}
CERTIFICATES = """
set -e
cd /mnt
key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
for authority in known stranger; do
    openssl req -x509 $key -keyout $authority.key -out $authority.pem -subj /CN=$authority -days 30
    openssl req $key -keyout $authority-server.key -out request -subj "/CN=$1"
    printf 'subjectAltName=DNS:%s' "$1" > names
    openssl x509 -req -in request -CA $authority.pem -CAkey $authority.key -CAcreateserial \
        -out $authority-server.pem -days 30 -extfile names
done
cp "known.pem" "$(openssl x509 -hash -noout -in known.pem).0"
"""
SERVER_SETTINGS = """
setACL("0.0.0.0/0")
generateDNSCryptProviderKeys("/mnt/provider.pub", "/mnt/provider.key")
generateDNSCryptCertificate("/mnt/provider.key", "/mnt/resolver.cert", "/mnt/resolver.key", 1,
    os.time() - 3600, os.time() + 86400)
addDNSCryptBind("@server:8443", "@provider", "/mnt/resolver.cert", "/mnt/resolver.key")
addTLSLocal("@server:853", "/mnt/@authority-server.pem", "/mnt/@authority-server.key")
addDOHLocal("@server:443", "/mnt/@authority-server.pem", "/mnt/@authority-server.key",
    "/dns-query")
setLocal("@server:53")
setSecurityPollSuffix("")
addAction("example.net.", SpoofAction("@answer"))
addAction(AllRule(), RCodeAction(DNSRCode.NXDOMAIN))
"""
ASK = """
import socket, sys
labels = b"".join(bytes([len(each)]) + each for each in sys.argv[2].encode().split(b"."))
question = bytes.fromhex("abcd01000001000000000000") + labels + bytes.fromhex("0000010001")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(8)
    s.connect((sys.argv[1], 53))
    s.send(question)
    try:
        said = s.recv(4096)
    except TimeoutError:
        print("silence")
    else:
        answered = said[6:8] != bytes(2)
        at = len(question) + 12  # the first answer's name, type, class, age and length
        print(socket.inet_ntoa(said[at : at + 4]) if answered else f"code {said[3] & 15}")
"""


def render_dns(folder: Path, options: Mapping[str, str]) -> list[ImageFile]:
    """Render the files that `dns` brings with these options."""
    profile = folder / "names.yaml"
    lines = ["version: 1", "name: names", "components:", "  debian-base: {}", "  firewall: {}"]
    lines += ["  network-identity: {}", "  dns:"]
    lines += [f"    {name}: {value}" for name, value in options.items()]
    profile.write_text("\n".join([*lines, ""]))
    reader = SourceFolders([folder, COMPONENTS_FOLDER, KINDS_FOLDER])
    resolution = resolve(profile, load_catalog([COMPONENTS_FOLDER], reader), reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    return [each for each in render_files(resolution.resolved, reader) if each.origin == "dns"]


def sent_to(frames: list[bytes]) -> set[tuple[int, str, int]]:
    """Give protocol number, address and port of every IPv4 frame of TCP or UDP."""
    found = set()
    for frame in frames:
        if frame[12:14] == b"\x08\x00" and frame[23] in {6, 17}:
            start = 14 + (frame[14] & 15) * 4
            (port,) = struct.unpack("!H", frame[start + 2 : start + 4])
            found.add((frame[23], socket.inet_ntoa(frame[30:34]), port))
    return found


@dataclass
class Lab:
    """A client that is a booted system, and a server at the other end of a cable."""

    client: Container
    client_network: Namespace
    server: Namespace
    work: Path

    def __post_init__(self) -> None:
        self._asked = 0

    @contextmanager
    def serving(self, authority: str = "known") -> Iterator[None]:
        """Run the server with a certificate of this authority until the block ends."""
        settings = SERVER_SETTINGS
        values = {"server": SERVER, "provider": PROVIDER, "authority": authority, "answer": ANSWER}
        for name, value in values.items():
            settings = settings.replace(f"@{name}", value)
        (self.work / "dnsdist.conf").write_text(settings)
        command = ("dnsdist", "--supervised", "--disable-syslog", "-C", "/mnt/dnsdist.conf")
        with (self.work / "dnsdist.log").open("wb") as log:
            process = self.server.start(self.server.command_in_root(*command), log)
        try:
            while self.ask_directly() == "silence":
                assert process.poll() is None, (self.work / "dnsdist.log").read_text()
            yield
        finally:
            self.server.stop(process)

    def configure(self, mode: str, **options: str) -> None:
        """Start the resolver of a mode afresh, with the settings that `dns` renders for it."""
        for unit in {*UNITS.values()}:
            self.client.run("systemctl", "stop", unit)
        named = {key.replace("_", "-"): value for key, value in options.items()}
        known = {"mode": mode, "servers": f"[{SERVER}]", "tls-name": NAME, "dnssec": "off"}
        if mode == "dnscrypt":
            key = (self.work / "provider.pub").read_bytes().hex()
            known |= {"dnscrypt-provider": PROVIDER, "dnscrypt-key": key}
        self.client.put(render_dns(self.work, {**known, **named}))
        self.client.run("systemctl", "start", UNITS[mode])

    def ask(self) -> tuple[str, set[tuple[int, str, int]]]:
        """Ask the system for a name nobody asked for yet: the answer, and where frames went.

        The name itself must be on none of them.
        """
        self._asked += 1
        name = f"{MARK.decode()}-{self._asked}.example.net"
        with recorded_frames(self.server.listen_on_card("cable")) as frames:
            said = self.client.run("python3", "-c", ASK, "127.0.0.1", name).strip()
        assert not any(MARK in frame for frame in frames)
        return said, sent_to(frames)

    def ask_for_an_address(self) -> tuple[str, set[tuple[int, str, int]]]:
        """Ask what an address of a private network is called: the answer, and where frames went."""
        with recorded_frames(self.server.listen_on_card("cable")) as frames:
            said = self.client.run("python3", "-c", ASK, "127.0.0.1", PRIVATE_ADDRESS).strip()
        return said, sent_to(frames)

    def ask_until_answered(self) -> set[tuple[int, str, int]]:
        """Ask until the resolver knows its server; where frames went for the answer."""
        for _ in range(ATTEMPTS):
            answer, destinations = self.ask()
            if answer == ANSWER:
                return destinations
        raise AssertionError(f"{answer}: {self.client.run('journalctl', '--lines=20')}")

    def ask_in_vain(self) -> None:
        """Ask for what must not be answered; nobody is tried but the server, encrypted.

        What ends a connection of the resolver before may still be sent again.
        """
        answer, destinations = self.ask()
        assert answer in {"silence", "code 2"}
        tried = {(address, port) for _, address, port in destinations}
        assert tried <= {(SERVER, port) for port in PORTS.values()}

    def ask_directly(self) -> str:
        """Ask the server in the clear, as a program without a resolver would."""
        said = self.client_network.call(self._ask_in_the_clear)
        return "silence" if not said else socket.inet_ntoa(said[-4:])

    @staticmethod
    def _ask_in_the_clear() -> bytes:
        question = bytes.fromhex("abcd01000001000000000000076578616d706c65036e65740000010001")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.5)
            try:
                asking.connect((SERVER, 53))
                asking.send(question)
                return asking.recv(4096)
            except OSError:
                return b""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    root = make_lab_root(PACKAGES)
    work, state = tmp_path_factory.mktemp("server"), tmp_path_factory.mktemp("client")
    with (
        Namespace(root, work) as server,
        Namespace() as network,
        Container(root, state, network) as client,
    ):
        connect(network, "cable0", server, "cable")
        for namespace, name, address in (
            (network, "cable0", CLIENT),
            (server, "cable", SERVER),
        ):
            namespace.set("ipv6/conf/all/disable_ipv6", "1")
            namespace.run("ip", "address", "add", f"{address}/24", "dev", name)
        server.run_in_root("sh", "-c", CERTIFICATES, "sh", NAME)
        client.run("sh", "-c", "getent group _dnscrypt-proxy || groupadd _dnscrypt-proxy")
        client.run("systemctl", "mask", "--now", *OTHERS_ON_PORT_53)
        # The resolver asks for the firewall; see the top.
        unit = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"
        path = "/etc/systemd/system/gnoppix-firewall.service"
        client.put([ImageFile(path, unit.encode(), 0o644, "root", "root", "test")])
        (hashed,) = work.glob("*.0")
        for path in (f"/etc/ssl/certs/{hashed.name}", "/etc/ssl/certs/ca-certificates.crt"):
            client.put([ImageFile(path, hashed.read_bytes(), 0o644, "root", "root", "test")])
        yield Lab(client, network, server, work)


@pytest.mark.parametrize("mode", PORTS)
def test_name_is_found_and_can_be_read_nowhere(lab: Lab, mode: str) -> None:
    with lab.serving():
        lab.configure(mode)
        destinations = lab.ask_until_answered()
        sockets = lab.client.run("ss", "-H", "-l", "-n", "-t", "-u").splitlines()
        lab.client.run("journalctl", "--sync")
        journal = lab.client.run("journalctl", "--no-pager", f"--unit={UNITS[mode]}")
        script = f"grep -r -l -F {MARK.decode()} /etc /run /tmp /var --exclude-dir=journal || true"
        holding = lab.client.run("sh", "-c", script)
    assert destinations == {(PROTOCOLS[mode], SERVER, PORTS[mode])}
    found = sorted((line.split()[0], line.split()[4]) for line in sockets)
    assert found == [("tcp", "127.0.0.1:53"), ("udp", "127.0.0.1:53")]
    assert MARK.decode() not in journal
    assert holding == ""


@pytest.mark.parametrize("mode", ["doh", "dnscrypt"])
def test_address_of_a_private_network_is_looked_up_nowhere(lab: Lab, mode: str) -> None:
    with lab.serving():
        lab.configure(mode)
        lab.ask_until_answered()
        assert lab.ask_for_an_address() == ("code 3", set())


@pytest.mark.parametrize("mode", ["dot", "doh"])
def test_certificate_of_another_name_is_refused(lab: Lab, mode: str) -> None:
    with lab.serving():
        lab.configure(mode, tls_name="another.example.net")
        lab.ask_in_vain()


@pytest.mark.parametrize("mode", ["dot", "doh"])
def test_certificate_of_an_unknown_authority_is_refused(lab: Lab, mode: str) -> None:
    with lab.serving("stranger"):
        lab.configure(mode)
        lab.ask_in_vain()


def test_dnscrypt_server_with_another_key_is_refused(lab: Lab) -> None:
    with lab.serving():
        lab.configure("dnscrypt", dnscrypt_key="ab" * 32)
        lab.ask_in_vain()


@pytest.mark.parametrize("mode", PORTS)
def test_resolver_does_not_fall_back_when_its_server_is_blocked(lab: Lab, mode: str) -> None:
    """Only the encrypted port is blocked, and while it is, anybody may ask in the clear."""
    block = f"meta l4proto {{ tcp, udp }} th dport {PORTS[mode]} drop"
    rule = f"table inet wall {{ chain in {{ type filter hook input priority 0; {block}; }}; }}"
    with lab.serving():
        lab.configure(mode)
        lab.ask_until_answered()
        lab.server.run("nft", rule)
        try:
            lab.ask_in_vain()
            assert lab.ask_directly() == ANSWER, "there is nothing to fall back to"
        finally:
            lab.server.run("nft", "delete", "table", "inet", "wall")


def test_unsigned_answers_are_refused_and_not_written_down(lab: Lab) -> None:
    with lab.serving():
        lab.configure("dot", dnssec="on")
        lab.ask_in_vain()
        lab.client.run("journalctl", "--sync")
        journal = lab.client.run("journalctl", "--no-pager", f"--unit={UNITS['dot']}")
    assert MARK.decode() not in journal

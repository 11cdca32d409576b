# SPDX-License-Identifier: GPL-3.0-or-later
"""A private Tor network in network namespaces: no packet of it leaves this machine.

client --- lan (10.0.2.0/24) --- core: authorities, relays, bridge, onion service
                                  |            |
                                exit1        exit2        (a namespace each)
                                  |            |
                                  +--- web ----+          (203.0.113.80, behind the exits only)
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Self

import tor_servers
from dhcp_server import serving
from net_namespace import Namespace, connect, recorded_frames
from tor_servers import AUTHORITIES, BRIDGE, EXITS, IN_CORE, RELAYS, Server

GATEWAY = "10.0.2.2"
FIRST_CLIENT = 15
LAN = "lan"
INSIDE = Path("/mnt")
READY_DESCRIPTORS = 4
READY_TIMEOUT_S = 120.0
NEEDED_BEFORE_VOTE_S = 14.0
WEB_SERVER = Path(__file__).with_name("web_server.py")
# What a client may reach: the servers' own ports, and DHCP. Nothing is routed but to the exits.
CORE_RULES = """\
table inet core {{
    chain input {{
        type filter hook input priority 0; policy accept;
        iifname "lan" jump from_clients
    }}
    chain from_clients {{
        ip daddr {{ {authorities} }} tcp dport {{ 5000, 7000 }} accept
        ip daddr {{ {relays} }} tcp dport 9001 accept
        ip daddr {bridge} tcp dport 443 accept
        udp dport 67 accept
        ct state established accept
        drop
    }}
    chain forward {{
        type filter hook forward priority 0; policy drop;
        iifname "lan" oifname "relays" ip daddr {{ {exits} }} tcp dport 9001 accept
        iifname "relays" oifname "relays" accept
        ct state established accept
    }}
}}
"""


@dataclass(frozen=True)
class Cable:
    """A client's end of the LAN: an interface `eth0` in a namespace, and what goes through it."""

    client: Namespace
    network: "TorNetwork"
    port: str

    @contextmanager
    def recorded(self) -> Iterator[list[bytes]]:
        """Give a list that holds, after the block, every frame that the client sent in it."""
        with self.network.record(self.port) as frames:
            yield frames


class TorNetwork:
    """Authorities, relays, exits, a bridge, an onion service and a web server.

    As a context it starts them, waits until a client would find them, and ends them.
    `authorities` are the lines that make any tor a client of this network.
    """

    web_url = f"http://{tor_servers.WEB_ADDRESS}/"
    web_name = tor_servers.WEB_NAME
    web_text = "the far end of the web"
    onion_text = "the far end of the onion"

    def __init__(self, root: Path, work: Path) -> None:
        self.root = root
        self.work = work
        self.authorities: tuple[str, ...] = ()
        self.leases: dict[bytes, IPv4Address] = {}
        self._stack = ExitStack()
        self._ports = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._lay_cables(stack)
            self.authorities = self._make_keys()
            _wait_for_a_vote_far_off()
            self._start_servers()
            self._stack = stack.pop_all()
        try:
            self.wait_until_ready()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def web(self) -> Namespace:
        """Give the place behind the exits, for further servers."""
        return self._web

    @property
    def onion(self) -> str:
        """Give the onion service's name."""
        return (self.work / "onion/service/hostname").read_text().strip()

    @property
    def bridge_line(self) -> str:
        """Give the bridge as torrc's `Bridge` takes it."""
        fingerprint = (self.work / BRIDGE.name / "fingerprint").read_text().split()[1]
        state = (self.work / BRIDGE.name / "pt_state/obfs4_bridgeline.txt").read_text()
        arguments = re.search(r"cert=\S+ iat-mode=\d", state)
        assert arguments is not None, state
        return f"obfs4 {BRIDGE.address}:{BRIDGE.port} {fingerprint} {arguments[0]}"

    @property
    def web_log(self) -> list[list[str]]:
        """Give what the web server was asked: `http` or `dns`, the exit's address, the object."""
        log = self.work / "web.log"
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    def wait_until_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Return when relays and exits are published and the onion service is uploaded."""
        deadline = time.monotonic() + timeout_s
        while missing := self._what_is_missing():
            assert time.monotonic() < deadline, f"in {timeout_s:.0f} s: {missing}; see {self.work}"
            time.sleep(0.2)

    @contextmanager
    def attach(self, client: Namespace, *, with_address: bool = True) -> Iterator[Cable]:
        """Give a namespace an `eth0` in the LAN, up and addressed, or as DHCP finds it."""
        number, port = self._new_port()
        connect(self._core, port, client, "eth0")
        self._core.run("ip", "link", "set", port, "master", LAN)
        if with_address:
            client.run("ip", "address", "add", f"10.0.2.{number}/24", "dev", "eth0")
            client.run("ip", "route", "add", "default", "via", GATEWAY)
        try:
            yield Cable(client, self, port)
        finally:
            # It is gone when a machine moved the other end to a namespace that has ended.
            gone = self._core.command("ip", "link", "delete", port)
            subprocess.run(gone, check=False, stderr=subprocess.DEVNULL)

    def attach_tap(self) -> tuple[str, int]:
        """Give a port of the LAN and the descriptor behind it, for QEMU's `-netdev tap,fd=`."""
        _, port = self._new_port()
        descriptor = self._core.make_tap(port)
        self._core.run("ip", "link", "set", port, "master", LAN, "up")
        return port, descriptor

    @contextmanager
    def record(self, port: str) -> Iterator[list[bytes]]:
        """Give a list that holds, after the block, every frame that came in by a port."""
        with self._core.listen_on_card(port) as card, recorded_frames(card) as frames:
            yield frames

    def _new_port(self) -> tuple[int, str]:
        number = FIRST_CLIENT + self._ports
        self._ports += 1
        return number, f"lan{self._ports}"

    def _lay_cables(self, stack: ExitStack) -> None:
        self._core = stack.enter_context(Namespace(self.root, self.work))
        self._exits = {each.name: stack.enter_context(self._namespace()) for each in EXITS}
        self._web = stack.enter_context(self._namespace())
        core, web = self._core, self._web
        for name in ("relays", LAN):
            core.run("ip", "link", "add", name, "type", "bridge")
            core.run("ip", "link", "set", name, "up")
        web.run("ip", "link", "add", "exits", "type", "bridge")
        web.run("ip", "link", "set", "exits", "up")
        for namespace in (core, web, *self._exits.values()):
            namespace.set("ipv6/conf/all/disable_ipv6", "1")
            namespace.set("ipv4/conf/all/rp_filter", "0")
        core.set("ipv4/ip_forward", "1")
        for server in IN_CORE:
            core.run("ip", "address", "add", f"{server.address}/32", "dev", "relays")
        core.run("ip", "address", "add", f"{GATEWAY}/24", "dev", LAN)
        web.run("ip", "address", "add", f"{tor_servers.WEB_ADDRESS}/32", "dev", "exits")
        for server in EXITS:
            self._connect_exit(server)
        core.run("nft", "-f", "-", stdin=_core_rules().encode())
        card = stack.enter_context(core.listen_on_card(LAN))
        self.leases = stack.enter_context(serving(card, IPv4Address(GATEWAY)))

    def _namespace(self) -> Namespace:
        return Namespace(self.root, self.work)

    def _connect_exit(self, server: Server) -> None:
        inside = self._exits[server.name]
        connect(self._core, server.name, inside, "or0")
        self._core.run("ip", "link", "set", server.name, "master", "relays")
        self._core.run("ip", "route", "add", f"{server.address}/32", "dev", "relays")
        inside.run("ip", "address", "add", f"{server.address}/32", "dev", "or0")
        others = [each.address for each in EXITS if each != server]
        for target in ("192.0.2.0/24", "198.18.0.0/15", *others):
            inside.run("ip", "route", "add", target, "dev", "or0")
        inside.run("ip", "route", "add", "10.0.2.0/24", "via", AUTHORITIES[0].address, "dev", "or0")
        connect(self._web, server.name, inside, "web0")
        self._web.run("ip", "link", "set", server.name, "master", "exits")
        self._web.run("ip", "route", "add", f"{server.web_address}/32", "dev", "exits")
        inside.run("ip", "address", "add", f"{server.web_address}/32", "dev", "web0")
        inside.run("ip", "route", "add", f"{tor_servers.WEB_ADDRESS}/32", "dev", "web0")

    def _make_keys(self) -> tuple[str, ...]:
        return tuple(
            tor_servers.format_authority(server, self._make_identity(server), self._print(server))
            for server in AUTHORITIES
        )

    def _make_identity(self, server: Server) -> str:
        """Make an authority's long-lived key and a certificate of a year."""
        keys = INSIDE / server.name / "keys"
        (self.work / server.name / "keys").mkdir(parents=True, mode=0o700)
        self._core.run_in_root(
            *("tor-gencert", "--create-identity-key", "-m", "12"),
            *("-a", f"{server.address}:{tor_servers.DIRECTORY_PORT}"),
            *("-i", keys / "authority_identity_key", "-s", keys / "authority_signing_key"),
            *("-c", keys / "authority_certificate", "--passphrase-fd", "0"),
            stdin=b"\n",
        )
        certificate = self.work / server.name / "keys/authority_certificate"
        return _field("fingerprint", certificate.read_text())

    def _print(self, server: Server) -> str:
        """Make a relay's keys and give their fingerprint."""
        printed = self._core.run_in_root(
            *("tor", "--quiet", "--list-fingerprint", "--TestingTorNetwork", "1"),
            *("--DataDirectory", INSIDE / server.name, "--Nickname", server.name),
            *("--ORPort", f"{server.address}:{server.port}", "--Address", server.address),
            *("--DirAuthority", f"x orport=1 v3ident={'0' * 40} {server.address}:1 {'0' * 40}"),
            *("-f", "/nonexistent", "--ignore-missing-torrc"),
        )
        return "".join(printed.decode().split()[1:])

    def _start_servers(self) -> None:
        places: Mapping[str, Namespace] = self._exits
        for server in tor_servers.ALL:
            inside = INSIDE / server.name
            torrc = tor_servers.format_torrc(server, inside, self.authorities)
            self._start_tor(places.get(server.name, self._core), server.name, torrc)
        onion = tor_servers.format_onion_torrc(INSIDE / "onion", self.authorities)
        self._start_tor(self._core, "onion", onion)
        page = (sys.executable, WEB_SERVER)
        self._core.start(
            self._core.command(*page, "127.0.0.1", str(tor_servers.ONION_PORT), self.onion_text)
        )
        named = (self.web_name, self.work / "web.log")
        self._web.start(
            self._web.command(*page, tor_servers.WEB_ADDRESS, "80", self.web_text, *named)
        )

    def _start_tor(self, place: Namespace, name: str, torrc: str) -> None:
        folder = self.work / name
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "torrc").write_text(torrc)
        (folder / "resolv.conf").write_text(f"nameserver {tor_servers.WEB_ADDRESS}\n")
        with (folder / "console.log").open("wb") as log:
            place.start(place.command_in_root("tor", "-f", INSIDE / name / "torrc"), log)

    def _what_is_missing(self) -> str:
        for server in (*RELAYS, *EXITS):
            if "reachable from the outside" not in self._log_of(server.name, "notice.log"):
                return f"{server.name} is not published"
        uploads = self._log_of("onion", "rend.log").count("status 200")
        if uploads < READY_DESCRIPTORS:
            return f"{uploads} of {READY_DESCRIPTORS} uploads of the onion service"
        return ""

    def _log_of(self, name: str, kind: str) -> str:
        log = self.work / name / kind
        return log.read_text(errors="replace") if log.exists() else ""


def _wait_for_a_vote_far_off() -> None:
    """Return when relays have time enough to be in the first consensus."""
    seconds_to_vote = tor_servers.FIRST_VOTE_S - time.time() % tor_servers.FIRST_VOTE_S
    if seconds_to_vote < NEEDED_BEFORE_VOTE_S:
        time.sleep(seconds_to_vote)


def _core_rules() -> str:
    def listed(servers: tuple[Server, ...]) -> str:
        return ", ".join(server.address for server in servers)

    return CORE_RULES.format(
        authorities=listed(AUTHORITIES),
        relays=listed(RELAYS),
        bridge=BRIDGE.address,
        exits=listed(EXITS),
    )


def _field(name: str, text: str) -> str:
    found = re.search(rf"^{name} (\w+)$", text, re.MULTILINE)
    assert found is not None, f"no `{name}` in {text[:200]}"
    return found[1]

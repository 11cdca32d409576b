# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of a private Tor network: where each lives, and its torrc.

A client needs nothing but the three `DirAuthority` lines. For that the addresses are public ones
that nobody has (RFC 5737, RFC 2544), and the authorities vote as a big network's would.
Source: tor(1), "SERVER OPTIONS" to "TESTING NETWORK OPTIONS".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Role = Literal["authority", "relay", "exit", "bridge"]
AUTHORITY_PORT, DIRECTORY_PORT, RELAY_PORT, BRIDGE_PORT = 5000, 7000, 9001, 443
WEB_ADDRESS = "203.0.113.80"
WEB_NAME = "web.test"
ONION_PORT = 8080
VOTING_S = 3600
# The first consensus comes when the clock is a multiple of this, the next one in an hour: relays
# must be known to the authorities by then.
FIRST_VOTE_S = 20
COMMON = """\
TestingTorNetwork 1
AssumeReachable 1
ShutdownWaitLength 0
SocksPort 0
"""
VOTING = f"""\
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
ExitPolicy reject *:*
V3AuthVotingInterval {VOTING_S}
V3AuthVoteDelay 4
V3AuthDistDelay 4
V3AuthNIntervalsValid 3
TestingV3AuthInitialVotingInterval {FIRST_VOTE_S}
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
TestingAuthDirTimeToLearnReachability 0
MinUptimeHidServDirectoryV2 0
TestingMinExitFlagThreshold 0
TestingDirAuthVoteExit 198.51.100.0/24,203.0.113.0/24
TestingDirAuthVoteGuard 198.18.0.0/15
TestingDirAuthVoteGuardIsStrict 1
TestingDirAuthVoteHSDir *
# Without these two the relays miss the flag Stable and nobody may be a guard.
AuthDirVoteStableGuaranteeMinUptime 0
AuthDirVoteStableGuaranteeMTBF 0
# What a client that does not know of the test derives the onion services' period from.
ConsensusParams hsdir_interval={24 * VOTING_S // 60}
"""


@dataclass(frozen=True)
class Server:
    """A relay of the network; `web_address` is where an exit's traffic comes out."""

    name: str
    role: Role
    address: str
    web_address: str = ""

    @property
    def port(self) -> int:
        """Give the port at which clients and relays reach it."""
        match self.role:
            case "authority":
                return AUTHORITY_PORT
            case "bridge":
                return BRIDGE_PORT
            case "relay" | "exit":
                return RELAY_PORT


AUTHORITIES = tuple(Server(f"auth{n}", "authority", f"192.0.2.{10 + n}") for n in (1, 2, 3))
RELAYS = (
    Server("relay1", "relay", "198.18.1.1"),
    Server("relay2", "relay", "198.18.2.1"),
    Server("relay3", "relay", "198.19.1.1"),
)
EXITS = (
    Server("exit1", "exit", "198.51.100.1", "203.0.113.101"),
    Server("exit2", "exit", "203.0.113.1", "203.0.113.102"),
)
BRIDGE = Server("bridge", "bridge", "198.19.9.9")
IN_CORE = (*AUTHORITIES, *RELAYS, BRIDGE)
ALL = (*IN_CORE, *EXITS)


def format_authority(server: Server, identity: str, fingerprint: str) -> str:
    """Write the line that makes a client of this network, once for each authority."""
    return (
        f"DirAuthority {server.name} orport={AUTHORITY_PORT} no-v2 v3ident={identity} "
        f"{server.address}:{DIRECTORY_PORT} {fingerprint}"
    )


def format_torrc(server: Server, data: Path, authorities: Sequence[str]) -> str:
    """Write a server's torrc; `data` is its folder as tor sees it."""
    lines = [
        *_common_lines(server.name, data, authorities),
        f"Address {server.address}",
        f"OutboundBindAddressOR {server.address}",
    ]
    match server.role:
        case "authority":
            lines += [
                f"ORPort {server.address}:{AUTHORITY_PORT} IPv4Only",
                f"DirPort {server.address}:{DIRECTORY_PORT}",
                VOTING,
            ]
        case "relay":
            lines += [f"ORPort {server.address}:{RELAY_PORT} IPv4Only", "ExitRelay 0"]
        case "exit":
            lines += [f"ORPort {server.address}:{RELAY_PORT} IPv4Only", *_exit_lines(server, data)]
        case "bridge":
            lines += [
                f"ORPort {server.address}:{RELAY_PORT} IPv4Only",
                "BridgeRelay 1",
                "PublishServerDescriptor 0",
                "ServerTransportPlugin obfs4 exec /usr/bin/obfs4proxy",
                f"ServerTransportListenAddr obfs4 {server.address}:{BRIDGE_PORT}",
                "ExtORPort auto",
            ]
    return "\n".join([*lines, ""])


def format_onion_torrc(data: Path, authorities: Sequence[str]) -> str:
    """Write the torrc of an onion service, which also tells when the network is ready."""
    return "\n".join(
        [
            *_common_lines("onion", data, authorities),
            f"Log [rend]info file {data}/rend.log",
            f"HiddenServiceDir {data}/service",
            f"HiddenServicePort 80 127.0.0.1:{ONION_PORT}",
            "",
        ]
    )


def _common_lines(name: str, data: Path, authorities: Sequence[str]) -> list[str]:
    own = [f"Nickname {name}", f"DataDirectory {data}", f"Log notice file {data}/notice.log"]
    return [*own, COMMON, *authorities]


def _exit_lines(server: Server, data: Path) -> list[str]:
    return [
        "ExitRelay 1",
        "ExitPolicy accept *:*",
        "IPv6Exit 0",
        f"OutboundBindAddressExit {server.web_address}",
        f"ServerDNSResolvConfFile {data}/resolv.conf",
        "ServerDNSDetectHijacking 0",
        f"ServerDNSTestAddresses {WEB_NAME}",
    ]

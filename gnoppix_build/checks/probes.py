# SPDX-License-Identifier: GPL-3.0-or-later
"""Marked packets that must not get out, and how they look on the wire."""

from collections.abc import Iterable
from typing import Final

from gnoppix_build.checks.programs import command_of
from gnoppix_build.policy.model import Policy

ROOT, LIVE_USER = 0, 1000
# What `send_probes` marks its packets with, and where its IPv4 packets go.
_MARK: Final = b"gnoppix-probe"
_FAR: Final = bytes((192, 0, 2, 1))
_PROTOCOLS: Final = {1: "icmp", 6: "tcp", 17: "udp", 132: "sctp"}
_KINDS: Final = {b"\x08\x00": "other", b"\x86\xdd": "ipv6", b"\x88\xb5": "frame"}
WITHOUT_RULES: Final = frozenset({"frame", "icmp", "sctp", "tcp", "udp"})
"""What gets out of a machine with a card, an address and a route, and no rules."""


def probes_among(frames: Iterable[bytes]) -> frozenset[str]:
    """Name the kinds of the probes among frames; `frame`: one that went past all packet rules."""
    return frozenset(kind for frame in frames if (kind := _kind_of(frame)))


def probe_commands(policy: Policy) -> tuple[str, ...]:
    """Give the shell commands that send the probes where the cards are, as root and as a user."""
    return tuple(
        where_the_cards_are(policy, command_of("send_probes", str(uid)))
        for uid in (ROOT, LIVE_USER)
    )


def where_the_cards_are(policy: Policy, command: str) -> str:
    """Give the shell command that runs a command in the network namespace of the cards."""
    if policy.card_namespace == "system":
        return command
    return f"ip netns exec {policy.card_namespace} {command}"


def _kind_of(frame: bytes) -> str | None:
    if frame[12:14] == b"\x08\x00" and frame[30:34] == _FAR:
        return _PROTOCOLS.get(frame[23], str(frame[23]))
    return _KINDS.get(frame[12:14], "other") if _MARK in frame else None

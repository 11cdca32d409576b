# SPDX-License-Identifier: GPL-3.0-or-later
"""Marked packets that must not get out, and how they look on the wire."""

from collections.abc import Iterable
from typing import Final

from gnoppix_build.checks.cards import where_the_cards_are
from gnoppix_build.checks.programs import command_of
from gnoppix_build.policy.model import Policy

ROOT, LIVE_USER = 0, 1000
# What `send_probes` marks its packets with, and where a connection, which has no mark, goes.
_MARK: Final = b"gnoppix-probe"
_FAR_SERVICE: Final = (bytes((192, 0, 2, 1)), (4242).to_bytes(2, "big"))
_PROTOCOLS: Final = {1: "icmp", 6: "tcp", 17: "udp", 132: "sctp"}
_KINDS: Final = {b"\x86\xdd": "ipv6", b"\x88\xb5": "frame"}
WITHOUT_RULES: Final = frozenset({"frame", "icmp", "sctp", "tcp", "udp"})
"""What gets out of a machine with a card, an address and a route, and no rules."""


def probes_among(frames: Iterable[bytes]) -> frozenset[str]:
    """Name the kinds of the probes among frames; `frame`: one that went past all packet rules."""
    return frozenset(kind for frame in frames if (kind := _kind_of(frame)))


def probe_commands(policy: Policy, seconds: int = 0) -> tuple[str, ...]:
    """Give the shell commands that send the probes where the cards are, as root and as a user.

    They go on sending for some seconds, or send each probe once.
    """
    return tuple(
        where_the_cards_are(policy, command_of("send_probes", str(uid), str(seconds)))
        for uid in (ROOT, LIVE_USER)
    )


def _kind_of(frame: bytes) -> str | None:
    is_ipv4 = frame[12:14] == b"\x08\x00"
    protocol = _PROTOCOLS.get(frame[23], "other") if is_ipv4 else ""
    if protocol == "tcp" and (frame[30:34], frame[36:38]) == _FAR_SERVICE:
        return protocol
    if _MARK not in frame:
        return None
    return protocol or _KINDS.get(frame[12:14], "other")

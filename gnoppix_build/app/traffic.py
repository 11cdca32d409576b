# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging what a machine sent on a network that does not mean it well."""

import shlex
from collections.abc import Sequence

from gnoppix_build.checks.cards import where_the_cards_are
from gnoppix_build.checks.probes import WITHOUT_RULES, probes_among
from gnoppix_build.policy.capture import Stranger, compile_capture, judge_frames
from gnoppix_build.policy.model import Policy
from gnoppix_build.report.finding import WHOLE_IMAGE, Finding, Outcome

SHOWN_STRANGERS = 5
PROTOCOLS = {6: "tcp", 17: "udp"}
IPV4 = b"\x08\x00"


def judge_phase(phase: str, sent: Sequence[bytes], policy: Policy, seconds: float) -> Finding:
    """Hold what the machine sent in a phase against the policy's allow-list."""
    strangers = judge_frames(sent, compile_capture(policy), frozenset())
    return _finding(
        f"sends_only_what_the_policy_names[{phase}]",
        "fail" if strangers else "pass",
        _describe(strangers) if strangers else f"{len(sent)} frames, each named by the policy",
        seconds,
    )


def judge_scan(answers: Sequence[bytes], policy: Policy, knocks: int, seconds: float) -> Finding:
    """Say whether the machine answered where nobody is invited; `answers`: frames to the scan."""
    invited = {
        (each.protocol, each.port)
        for each in policy.listeners
        if not each.is_loopback and each.namespace == policy.card_namespace
    }
    given = sorted({_answered(frame) for frame in answers} - invited)
    shown = ", ".join(
        f"{protocol} port {port}" if port else protocol
        for protocol, port in given[:SHOWN_STRANGERS]
    )
    return _finding(
        "answers_no_scan",
        "fail" if given else "pass",
        f"answers from {shown}" if given else f"{knocks} ports, pings and protocols: no answer",
        seconds,
    )


def judge_probes(sent: Sequence[bytes], seconds: float) -> Finding:
    """Say whether a probe of root or of a user got out while the rules hold."""
    found = probes_among(sent)
    return _finding(
        "probes_stay_off_the_wire",
        "fail" if found else "pass",
        f"on the wire: {', '.join(sorted(found))}" if found else "none of the probes got out",
        seconds,
    )


def judge_control(
    sent: Sequence[bytes], answers: Sequence[bytes], policy: Policy, seconds: float
) -> Finding:
    """Say whether leaks would be seen: without rules probes get out, and a scan is answered."""
    found = probes_among(sent)
    strangers = judge_frames(sent, compile_capture(policy), frozenset())
    caught = probes_among(sent[stranger.index] for stranger in strangers)
    # On the wire there are no users: what one may send anywhere is admitted whoever sends it.
    cards = policy.within(policy.card_namespace)
    admitted = {flow.protocol for flow in cards.direct if not flow.addresses}
    is_able = found >= WITHOUT_RULES and caught >= WITHOUT_RULES - admitted and bool(answers)
    return _finding(
        "recording_shows_leaks_without_rules",
        "pass" if is_able else "fail",
        f"got out: {', '.join(sorted(found)) or 'nothing'}; "
        f"strangers: {', '.join(sorted(caught)) or 'none'}; answers to a scan: {len(answers)}",
        seconds,
    )


def skip_control() -> Finding:
    """Say that leaks cannot be shown: the machine has no link that they could go by."""
    return _finding(
        "recording_shows_leaks_without_rules",
        "skip",
        "the machine sends nothing at all: its cards are down",
        0.0,
    )


def flush_command(policy: Policy) -> str:
    """Give the shell command that takes all rules away where the cards are."""
    return where_the_cards_are(policy, shlex.join(("nft", "flush", "ruleset")))


def _answered(frame: bytes) -> tuple[str, int]:
    """Name the protocol and port that answered; a packet without ports counts by its protocol."""
    if frame[12:14] != IPV4:
        return (f"ipv6 protocol {frame[20]}", 0)
    if frame[23] not in PROTOCOLS:
        return (f"protocol {frame[23]}", 0)
    return (PROTOCOLS[frame[23]], int.from_bytes(frame[34:36], "big"))


def _describe(strangers: Sequence[Stranger]) -> str:
    kinds = list(dict.fromkeys(stranger.description for stranger in strangers))
    more = f", and {len(kinds) - SHOWN_STRANGERS} more" if len(kinds) > SHOWN_STRANGERS else ""
    return f"{len(strangers)} strangers: {', '.join(kinds[:SHOWN_STRANGERS])}{more}"


def _finding(check: str, outcome: Outcome, evidence: str, seconds: float) -> Finding:
    return Finding(check, WHOLE_IMAGE, "traffic", outcome, evidence, round(seconds, 3))

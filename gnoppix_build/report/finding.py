# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check found out about a target."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Tier = Literal["static", "running", "traffic", "offline"]
Outcome = Literal["pass", "fail", "skip"]
Verdict = Literal["pass", "fail"]

WHOLE_IMAGE: Final = "image"
"""Stands in the place of a component for what is of no single one."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check on one target, with the evidence in a reader's words."""

    check: str
    component: str
    tier: Tier
    outcome: Outcome
    evidence: str
    seconds: float


def judge_findings(findings: Iterable[Finding]) -> Verdict:
    """Say `pass` when nothing failed and something passed: skips alone prove nothing."""
    outcomes = {finding.outcome for finding in findings}
    return "pass" if "fail" not in outcomes and "pass" in outcomes else "fail"

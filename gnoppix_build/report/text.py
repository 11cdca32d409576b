# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings as a table for people."""

from collections import Counter
from collections.abc import Sequence

from gnoppix_build.report.finding import Finding, judge_findings
from gnoppix_build.report.plain import strip_control_characters

HEADINGS = ("outcome", "component", "check", "seconds", "evidence")
GAP = "  "


def report_text(target: str, findings: Sequence[Finding]) -> str:
    """Give a table with a line a finding and the verdict below it; no colour."""
    rows = [HEADINGS, *(_row(finding) for finding in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS) - 1)]
    lines = [GAP.join((*map(str.ljust, row[:-1], widths), row[-1])).rstrip() for row in rows]
    return "\n".join((*lines, "", _summary(target, findings), ""))


def _row(finding: Finding) -> tuple[str, ...]:
    return (
        finding.outcome,
        _on_one_line(finding.component),
        _on_one_line(finding.check),
        f"{finding.seconds:.1f}",
        _on_one_line(finding.evidence),
    )


def _on_one_line(text: str) -> str:
    return " ".join(strip_control_characters(text).split())


def _summary(target: str, findings: Sequence[Finding]) -> str:
    counts = Counter(finding.outcome for finding in findings)
    return (
        f"{judge_findings(findings)}: {_on_one_line(target)} "
        f"({counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped)"
    )

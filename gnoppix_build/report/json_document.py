# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from gnoppix_build.report.finding import Finding, judge_findings

FORMAT_VERSION = 1


def report_json(target: str, findings: Sequence[Finding]) -> str:
    """Give the verdict and every finding, in the order in which they were made."""
    document = {
        "format_version": FORMAT_VERSION,
        "verdict": judge_findings(findings),
        "target": target,
        "findings": [asdict(finding) for finding in findings],
    }
    return json.dumps(document, indent=2) + "\n"

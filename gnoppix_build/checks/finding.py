# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check found out; defined where reports, the layer below, can see it."""

from gnoppix_build.report.finding import Finding, Outcome, Tier, Verdict, judge_findings

__all__ = ["Finding", "Outcome", "Tier", "Verdict", "judge_findings"]

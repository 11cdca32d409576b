# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of checks while they run."""

import pytest

from gnoppix_build.cli.progress import CheckProgress
from gnoppix_build.report.finding import Finding, Outcome


def finding(check: str, outcome: Outcome, evidence: str = "") -> Finding:
    return Finding(check, "tor", "running", outcome, evidence, 0.1)


def test_failed_check_is_told_at_once_and_others_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter((0.0, 1.0, 5.0, 6.0))
    monkeypatch.setattr("time.monotonic", lambda: next(seconds))
    progress = CheckProgress()
    for each in (
        finding("test_doors", "pass"),
        finding("test_user", "fail", "no such\x1b[2J user\nmore"),
        finding("test_unit", "pass"),
        finding("test_files", "skip"),
    ):
        progress.tell(each)
    assert capsys.readouterr().err == (
        "tor test_user: failed: no such[2J user\n3 checks so far, the last one: tor test_unit\n"
    )

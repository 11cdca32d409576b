# SPDX-License-Identifier: GPL-3.0-or-later
import json
from xml.etree import ElementTree as ET

from gnoppix_build.report.finding import Finding, Outcome, judge_findings
from gnoppix_build.report.json_document import report_json
from gnoppix_build.report.junit import report_junit
from gnoppix_build.report.text import report_text


def make_finding(outcome: Outcome, evidence: str = "it is so") -> Finding:
    return Finding("test_port", "fence", "static", outcome, evidence, 0.25)


def test_verdict_is_fail_when_nothing_passed() -> None:
    assert judge_findings([]) == "fail"
    assert judge_findings([make_finding("skip")]) == "fail"
    assert judge_findings([make_finding("skip"), make_finding("pass")]) == "pass"
    assert judge_findings([make_finding("fail"), make_finding("pass")]) == "fail"


def test_text_report_is_a_table_that_no_evidence_can_break() -> None:
    findings = [make_finding("pass"), make_finding("fail", "two\nlines \x1b[31mred\u202e")]
    assert report_text("image.iso", findings) == (
        "outcome  component  check      seconds  evidence\n"
        "pass     fence      test_port  0.2      it is so\n"
        "fail     fence      test_port  0.2      two lines [31mred\n"
        "\n"
        "fail: image.iso (1 passed, 1 failed, 0 skipped)\n"
    )


def test_json_report_has_the_documented_shape() -> None:
    assert json.loads(report_json("image.iso", [make_finding("pass")])) == {
        "format_version": 1,
        "verdict": "pass",
        "target": "image.iso",
        "findings": [
            {
                "check": "test_port",
                "component": "fence",
                "tier": "static",
                "outcome": "pass",
                "evidence": "it is so",
                "seconds": 0.25,
            }
        ],
    }


def test_junit_report_escapes_markup_and_drops_control_characters() -> None:
    hostile = '</failure><x a="\x00\x1b\ud800&">\nsecond line'
    report = report_junit('a"<b>', [make_finding("fail", hostile), make_finding("skip", "\x07no")])
    suite = ET.fromstring(report.encode())[0]
    assert (suite.get("name"), suite.get("failures"), suite.get("skipped")) == ('a"<b>', "1", "1")
    failure, skipped = suite[0][0], suite[1][0]
    assert failure.get("message") == '</failure><x a="&">'
    assert failure.text == '</failure><x a="&">\nsecond line'
    assert skipped.get("message") == "no"

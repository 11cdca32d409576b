# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings as JUnit XML, for CI."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from gnoppix_build.report.finding import Finding
from gnoppix_build.report.plain import strip_control_characters


def report_junit(target: str, findings: Sequence[Finding]) -> str:
    """Give one test suite; a component is a class, a check a case.

    Source: the JUnit XML that Jenkins and GitLab read.
    """
    suite = ET.Element(
        "testsuite",
        name=strip_control_characters(target),
        tests=str(len(findings)),
        failures=str(_count(findings, "fail")),
        errors="0",
        skipped=str(_count(findings, "skip")),
        time=f"{sum(finding.seconds for finding in findings):.3f}",
    )
    for finding in findings:
        _add_case(suite, finding)
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    text = ET.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _add_case(suite: ET.Element, finding: Finding) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=strip_control_characters(f"{finding.component}.{finding.tier}"),
        name=strip_control_characters(finding.check),
        time=f"{finding.seconds:.3f}",
    )
    evidence = strip_control_characters(finding.evidence)
    match finding.outcome:
        case "pass":
            ET.SubElement(case, "system-out").text = evidence
        case "fail":
            failure = ET.SubElement(case, "failure", message=evidence.split("\n")[0])
            failure.text = evidence
        case "skip":
            ET.SubElement(case, "skipped", message=evidence)


def _count(findings: Sequence[Finding], outcome: str) -> int:
    return sum(finding.outcome == outcome for finding in findings)

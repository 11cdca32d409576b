# SPDX-License-Identifier: GPL-3.0-or-later
"""What `privacy-status` promises of a system."""

import json
from typing import Any

import pytest

REPORT = "/run/gnoppix/privacy-status.json"
EXPECTED = "/etc/gnoppix/privacy-policy.json"
TIMER = "privacy-status.timer"
NETWORK = "network policy"


def fresh_report(host: Any) -> dict[str, Any]:
    """Have the system looked at now, and read what came of it."""
    host.check_output("systemctl start privacy-status.service")
    report: dict[str, Any] = json.loads(host.file(REPORT).content_string)
    return report


def faults_of(report: dict[str, Any]) -> list[str]:
    """Write the faults of a report, a line each."""
    return [
        f"{each['name']}: {fault['subject']}: {fault['reason']}"
        for each in report["components"]
        for fault in each["faults"]
    ]


@pytest.mark.static
def test_status_is_kept_fresh(host: Any) -> None:
    """The system is looked at from its start on."""
    assert host.service(TIMER).is_enabled


@pytest.mark.static
def test_every_component_is_looked_at(host: Any) -> None:
    """What the system is held against came from a profile that has this component."""
    expected = json.loads(host.file(EXPECTED).content_string)
    assert "privacy-status" in [each["name"] for each in expected["components"]]


@pytest.mark.running
def test_anybody_may_ask(host: Any) -> None:
    """A user without privileges gets the report, and an exit code that agrees with it."""
    report = fresh_report(host)
    ask = "setpriv --reuid=1000 --regid=1000 --clear-groups privacy-status --json"
    said = host.run(ask)
    assert json.loads(said.stdout) == report
    assert said.rc == (0 if report["protected"] else 1)


def waits_for_a_login(host: Any, fault: str) -> bool:
    """Tell whether a fault is of a unit that starts only with a secret that was not given."""
    unit = fault.split(": ")[1]
    if not unit.endswith(".service"):
        return False
    met = host.check_output(f"systemctl show --property=ConditionResult --value {unit}")
    return met == "no" and "credstore" in host.check_output(f"systemctl cat {unit}")


@pytest.mark.running
def test_system_is_protected(host: Any) -> None:
    """A system as it was built has no fault, but that a test has no Tor and maybe no login."""
    faults = [
        each
        for each in faults_of(fresh_report(host))
        if ": Tor: it is not connected" not in each and not waits_for_a_login(host, each)
    ]
    assert faults == []


@pytest.mark.running
def test_report_is_renewed(host: Any) -> None:
    """The report that is there is a young one, without anybody having asked for it."""
    assert host.service(TIMER).is_running
    report = json.loads(host.file(REPORT).content_string)
    uptime_s = float(host.file("/proc/uptime").content_string.split()[0])
    assert uptime_s - report["seconds_since_boot"] < 120


@pytest.mark.running
@pytest.mark.destructive
def test_loss_of_the_rules_is_told(host: Any) -> None:
    """Without its rules the system is not called protected: the check above is able to fail."""
    host.check_output("nft flush ruleset")
    faults = faults_of(fresh_report(host))
    assert f"{NETWORK}: table inet gnoppix: it is not loaded" in faults
    assert host.run("privacy-status").rc == 1


@pytest.mark.running
@pytest.mark.destructive
def test_rule_that_was_replaced_is_told(host: Any) -> None:
    """As many rules are not the same rules: one that lets everything out is seen."""
    listing = json.loads(host.check_output("nft -j list chain inet gnoppix output"))["nftables"]
    handles = [each["rule"]["handle"] for each in listing if "rule" in each]
    if not handles:
        pytest.skip("no rule lets anything out")
    host.check_output(f"nft replace rule inet gnoppix output handle {handles[-1]} accept")
    faults = faults_of(fresh_report(host))
    assert f"{NETWORK}: table inet gnoppix: it is not as it was loaded" in faults

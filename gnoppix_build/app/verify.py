# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifying: the components' checks on the image's tree and in the booted, unmodified image."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gnoppix_build.catalog.load import check_file_name
from gnoppix_build.checks.context import CheckContext
from gnoppix_build.checks.run import run_checks
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.report.check_file import read_check_file
from gnoppix_build.report.finding import Finding
from gnoppix_build.resolve.model import Resolved


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """What is checked: component -> check file, and what its checks are told."""

    files: Mapping[str, Path]
    context: CheckContext


def plan_checks(
    resolved: Resolved, tell: Callable[[Finding], None] = lambda _finding: None
) -> CheckPlan:
    """Collect the check files of a profile's components; `context.host` is still to be set.

    `tell` is given each finding as soon as there is one.
    """
    files = {
        component.name: path
        for component in resolved.components
        if (path := component.folder / check_file_name(component.name)).is_file()
    }
    options = {component.name: component.options for component in resolved.components}
    context = CheckContext(
        host=None, options=options, policy=compile_policy(resolved), profile=resolved, tell=tell
    )
    return CheckPlan(files, context)


def trial_credentials(resolved: Resolved) -> Mapping[str, str]:
    """Give what a machine is brought in place of its owner's secrets: name -> text."""
    return {
        credential.name: credential.trial
        for component in resolved.components
        for credential in component.manifest.credentials
        if component.holds(credential.when)
    }


def check_tree(checks: CheckPlan, host: object) -> list[Finding]:
    """Run the static checks on a tree."""
    return run_checks(checks.files, "static", replace(checks.context, host=host))


def check_machine(checks: CheckPlan, context: CheckContext) -> list[Finding]:
    """Run the checks of a running system; `context` holds host, wire and snapshots."""
    complete = replace(
        checks.context,
        host=context.host,
        wire=context.wire,
        snapshots=context.snapshots,
        abort_on=context.abort_on,
    )
    return run_checks(checks.files, "running", complete)


def check_machine_files(checks: CheckPlan, context: CheckContext) -> list[Finding]:
    """Run on a running system the checks that a tree gets; `context` holds host and faults."""
    complete = replace(checks.context, host=context.host, abort_on=context.abort_on)
    return run_checks(checks.files, "static", complete)


def check_traffic(checks: CheckPlan, context: CheckContext) -> list[Finding]:
    """Run the checks of a system on a hostile network; `context` holds host and network."""
    complete = replace(
        checks.context, host=context.host, lan=context.lan, abort_on=context.abort_on
    )
    return run_checks(checks.files, "traffic", complete)


def has_offline_checks(checks: CheckPlan) -> bool:
    """Tell whether a component promises something of a machine without a network card."""
    return any(
        "offline" in check.tiers
        for path in checks.files.values()
        for check in read_check_file(path.read_text(encoding="utf-8"))
    )


def check_offline(checks: CheckPlan, context: CheckContext) -> list[Finding]:
    """Run the checks of a system without a network card; `context` holds host and faults."""
    complete = replace(checks.context, host=context.host, abort_on=context.abort_on)
    return run_checks(checks.files, "offline", complete)


def judge_traces(traces: Mapping[str, list[str]], component: str, seconds: float) -> Finding:
    """Say whether a layer gives the build host away; `traces`: layer -> files."""
    found = [f"{layer}:{path}" for layer, paths in traces.items() for path in paths]
    shown = ", ".join(found[:5])
    return Finding(
        check="no_trace_of_the_build_host",
        component=component,
        tier="static",
        outcome="fail" if found else "pass",
        evidence=shown or f"{len(traces)} layers, each looked through by itself",
        seconds=round(seconds, 3),
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifying a machine that was provisioned: its drift, and the checks that images get too."""

import json
from pathlib import Path

from gnoppix_build.app.drift import Expected, expect_files, judge_drift
from gnoppix_build.app.verify import check_machine, check_machine_files, plan_checks
from gnoppix_build.checks.context import CheckContext
from gnoppix_build.cli import session
from gnoppix_build.cli.payloads import require_digests
from gnoppix_build.cli.progress import CheckProgress
from gnoppix_build.effects.faults import CommandFault
from gnoppix_build.effects.machine import UnreachableFault, opened_shell
from gnoppix_build.render.configuration import render_configuration
from gnoppix_build.render.described import describe_components, describe_machine
from gnoppix_build.report.finding import Finding
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.targets.remote import MachineAddress
from gnoppix_build.targets.vm import GuestHost


def verify_machine(
    profile: str,
    folders: tuple[Path, ...],
    resolved: Resolved,
    address: MachineAddress,
    ssh_configuration: Path | None,
) -> list[Finding]:
    """Hold a machine against its profile; changes nothing on it."""
    reader = session.make_reader(profile, folders)
    files = render_configuration(resolved, reader)
    components = describe_components(resolved, files, frozenset())
    payloads = {path: each.name for each in components for path in each.payloads}
    digests = require_digests(profile, resolved)
    units = describe_machine(resolved, components, "").units
    expected = Expected(expect_files(files, payloads, digests), units)
    checks = plan_checks(resolved, CheckProgress().tell)
    with opened_shell(address, ssh_configuration) as shell:
        answer = shell.run(expected.question())
        if answer.status != 0:
            said = answer.stderr.decode(errors="replace").strip()
            raise CommandFault(("python3",), answer.status, Path("/dev/null"), hint=said or None)
        context = CheckContext(GuestHost(shell, address.name), abort_on=(UnreachableFault,))
        return [
            *judge_drift(expected, json.loads(answer.stdout)),
            *check_machine_files(checks, context),
            *check_machine(checks, context),
        ]

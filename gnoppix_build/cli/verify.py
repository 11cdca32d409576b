# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifying an image on this host: mounts it, boots it, and puts the checks on it."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from gnoppix_build.app.build import carry_out
from gnoppix_build.app.verify import (
    CheckPlan,
    check_tree,
    judge_traces,
    plan_checks,
    trial_credentials,
)
from gnoppix_build.cli import locks, session
from gnoppix_build.cli.build import make_plan_of, open_workshop, require_host
from gnoppix_build.cli.progress import CheckProgress, LineProgress, timed
from gnoppix_build.cli.verify_boot import (
    Bench,
    check_by_bios,
    check_by_uefi,
    check_without_card,
    judge_machine_ids,
)
from gnoppix_build.cli.verify_traffic import check_on_hostile_network
from gnoppix_build.effects.image import OpenImage, host_needles, opened_iso, trace_layers
from gnoppix_build.effects.qemu import can_run_kvm
from gnoppix_build.effects.qemu_command import MachineSize
from gnoppix_build.effects.results import check_sums, publish_reports
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.model import Policy
from gnoppix_build.report.finding import WHOLE_IMAGE, Finding
from gnoppix_build.report.json_document import report_json
from gnoppix_build.report.junit import report_junit
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.targets.tree import TreeHost


def verify_image(
    profile: str,
    folders: tuple[Path, ...],
    resolved: Resolved,
    result: Path,
    tiers: Sequence[str],
) -> list[Finding]:
    """Run the tiers on the image in a result folder, and put the reports there."""
    require_host()
    sums = check_sums(result)
    lock = locks.read_lock(result / f"{resolved.name}.lock")
    plan = make_plan_of(profile, folders, resolved, lock)
    with (
        open_workshop(plan, resolved) as workshop,
        tempfile.TemporaryDirectory(prefix="gnoppix-verify-") as scratch,
    ):
        work = Path(scratch)
        carry_out(plan, workshop, LineProgress(), until="pack tools")
        findings, evidence = examine_image(resolved, result, work, workshop.layer("tools"), tiers)
        image = f"{resolved.name}.iso"
        reports = {
            "verify.json": report_json(image, findings).encode(),
            "verify.xml": report_junit(image, findings).encode(),
        }
        publish_reports(result, {**reports, **evidence}, sums)
    return findings


def examine_image(
    resolved: Resolved, result: Path, work: Path, tools: Path, tiers: Sequence[str]
) -> tuple[list[Finding], Mapping[str, Path]]:
    """Give what the tiers found, and what they recorded: the name that it is kept by -> file."""
    iso = result / f"{resolved.name}.iso"
    checks = plan_checks(resolved, CheckProgress().tell)
    findings: list[Finding] = []
    evidence: dict[str, Path] = {}
    if "static" in tiers:
        with timed("static checks", _tell), opened_iso(iso, work, tools, work / "log") as image:
            findings += _verify_tree(checks, image, result)
    if {*tiers} - {"static"}:
        kvm = can_run_kvm(tools, work / "probe")
        size = MachineSize.with_memory(resolved.memory)
        bench = Bench(checks, iso, work, tools, trial_credentials(resolved), kvm, size)
        findings += _verify_boots(bench, compile_policy(resolved), tiers)
        if "traffic" in tiers:
            evidence["verify.pcap"] = bench.machine_by_uefi().recording
    return findings, evidence


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _verify_tree(checks: CheckPlan, image: OpenImage, result: Path) -> list[Finding]:
    findings = check_tree(checks, TreeHost(image.root))
    start = time.monotonic()
    needles = host_needles((session.cache_folder(), result))
    traces = trace_layers(image, needles.long, needles.short)
    return [*findings, judge_traces(traces, WHOLE_IMAGE, time.monotonic() - start)]


def _verify_boots(bench: Bench, policy: Policy, tiers: Sequence[str]) -> list[Finding]:
    """Boot by BIOS for the checks, by UEFI, on a hostile network if asked to, without a card."""
    _tell(f"booting with {'KVM' if bench.kvm else 'emulation: KVM cannot run a guest here'}")
    boots = []
    if "boot" in tiers:
        with timed("BIOS boot, checks", _tell):
            boots.append(check_by_bios(bench))
    if "traffic" in tiers:
        with timed("UEFI boot on a hostile network", _tell):
            boots.append(check_on_hostile_network(bench, policy))
    elif "secure-boot" in tiers:
        with timed("UEFI boot", _tell):
            boots.append(check_by_uefi(bench))
    findings = [finding for boot in boots for finding in boot.findings]
    if len(boots) > 1:
        findings.append(judge_machine_ids([boot.machine_id for boot in boots]))
    if "offline" in tiers:
        with timed("boot without a network card", _tell):
            findings += check_without_card(bench)
    return findings

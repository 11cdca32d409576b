# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifying an image on this host: mounts it, boots it, and puts the checks on it."""

import shlex
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click

from gnoppix_build.app.build import carry_out
from gnoppix_build.app.verify import (
    CheckPlan,
    check_machine,
    check_tree,
    judge_traces,
    plan_checks,
)
from gnoppix_build.checks.context import CheckContext
from gnoppix_build.cli import locks, session
from gnoppix_build.cli.build import make_plan_of, open_workshop, require_host
from gnoppix_build.cli.progress import LineProgress, timed
from gnoppix_build.cli.verify_traffic import keep_recording, verify_traffic
from gnoppix_build.effects.guest_channel import GuestFault
from gnoppix_build.effects.image import OpenImage, host_needles, opened_iso, trace_layers
from gnoppix_build.effects.qemu import Machine, can_run_kvm
from gnoppix_build.effects.results import check_sums
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.report.finding import Finding
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.targets.tree import TreeHost
from gnoppix_build.targets.vm import GuestHost, GuestWire

BOOT_TIMEOUT_S = 900.0
WHOLE_IMAGE = "image"
# Source: UEFI specification 2.10, section 3.3; the value follows four bytes of attributes.
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def verify_image(
    profile: str,
    folders: tuple[Path, ...],
    resolved: Resolved,
    result: Path,
    tiers: Sequence[str],
) -> list[Finding]:
    """Run the tiers on the image in a result folder."""
    require_host()
    check_sums(result)
    lock = locks.read_lock(result / f"{resolved.name}.lock")
    plan = make_plan_of(profile, folders, resolved, lock)
    iso = result / f"{resolved.name}.iso"
    checks = plan_checks(resolved)
    findings: list[Finding] = []
    with (
        open_workshop(plan, resolved) as workshop,
        tempfile.TemporaryDirectory(prefix="gnoppix-verify-") as scratch,
    ):
        work = Path(scratch)
        carry_out(plan, workshop, LineProgress(), until="pack tools")
        tools = workshop.layer("tools")
        if "static" in tiers:
            with timed("static checks", _tell), opened_iso(iso, work, tools, work / "log") as image:
                findings += _verify_tree(checks, image, result)
        if not {"boot", "traffic"}.isdisjoint(tiers):
            kvm = can_run_kvm(tools, work / "probe")
            _tell(f"booting with {'KVM' if kvm else 'emulation: KVM cannot run a guest here'}")
        if "boot" in tiers:
            findings += _verify_boots(checks, iso, work, tools, kvm=kvm)
        if "traffic" in tiers:
            policy = compile_policy(resolved)
            with timed("boot on a hostile network", _tell):
                findings += verify_traffic(checks, policy, iso, work, tools, kvm=kvm)
            keep_recording(work, result / "verify.pcap")
    return findings


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _verify_tree(checks: CheckPlan, image: OpenImage, result: Path) -> list[Finding]:
    findings = check_tree(checks, TreeHost(image.root))
    start = time.monotonic()
    needles = host_needles((session.cache_folder(), result))
    traces = trace_layers(image, needles.long, needles.short)
    return [*findings, judge_traces(traces, WHOLE_IMAGE, time.monotonic() - start)]


def _verify_boots(
    checks: CheckPlan, iso: Path, work: Path, tools: Path, *, kvm: bool
) -> list[Finding]:
    findings: list[Finding] = []
    with timed("BIOS boot, checks", _tell), Machine(iso, tools, work / "bios", kvm=kvm) as machine:
        findings.append(_boot(machine, "boots_by_bios"))
        first_id = _machine_id(machine)
        findings += check_machine(checks, _context(machine))
    with (
        timed("UEFI boot", _tell),
        Machine(iso, tools, work / "uefi", "uefi-secure-boot", kvm=kvm) as machine,
    ):
        findings.append(_boot(machine, "boots_by_uefi"))
        findings.append(_secure_boot(machine))
        findings.append(_compare_machine_ids(first_id, _machine_id(machine)))
    return findings


def _context(machine: Machine) -> CheckContext:
    return CheckContext(
        GuestHost(machine),
        wire=GuestWire(machine, machine),
        snapshots=machine,
        abort_on=(GuestFault,),
    )


def _boot(machine: Machine, check: str) -> Finding:
    start = time.monotonic()
    machine.wait_for_shell(BOOT_TIMEOUT_S)
    state = machine.wait_for_boot(BOOT_TIMEOUT_S)
    seconds = time.monotonic() - start
    return Finding(
        check=check,
        component=WHOLE_IMAGE,
        tier="running",
        outcome="pass" if state == "running" else "fail",
        evidence=f"systemd says `{state}` after {seconds:.0f} s",
        seconds=round(seconds, 3),
    )


def _secure_boot(machine: Machine) -> Finding:
    start = time.monotonic()
    outcome = machine.run(f"od -An -tu1 -j4 -N1 {shlex.quote(SECURE_BOOT)}")
    value = outcome.stdout.decode(errors="replace").strip()
    return Finding(
        check="secure_boot_is_on",
        component=WHOLE_IMAGE,
        tier="running",
        outcome="pass" if value == "1" else "fail",
        evidence=f"the firmware's variable `SecureBoot` is `{value}`",
        seconds=round(time.monotonic() - start, 3),
    )


def _machine_id(machine: Machine) -> str:
    return machine.run("cat /etc/machine-id").stdout.decode(errors="replace").strip()


def _compare_machine_ids(first: str, second: str) -> Finding:
    return Finding(
        check="machine_id_is_new_at_each_boot",
        component=WHOLE_IMAGE,
        tier="running",
        outcome="pass" if first and second and first != second else "fail",
        evidence=f"`{first}` and `{second}`",
        seconds=0.0,
    )

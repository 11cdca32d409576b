# SPDX-License-Identifier: GPL-3.0-or-later
"""The boots of an unmodified image: by BIOS with all checks, by UEFI, and without a card."""

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gnoppix_build.app.verify import CheckPlan, check_machine, check_offline, has_offline_checks
from gnoppix_build.checks.context import CheckContext
from gnoppix_build.effects.guest_channel import GuestFault
from gnoppix_build.effects.qemu import Machine
from gnoppix_build.effects.qemu_command import Firmware, Lan, MachineSize, NoLan
from gnoppix_build.report.finding import WHOLE_IMAGE, Finding, Outcome, Tier
from gnoppix_build.targets.vm import GuestHost, GuestWire

BOOT_TIMEOUT_S = 900.0
WITHOUT_CARD = "boots_without_a_card"
# Source: UEFI specification 2.10, section 3.3; the value follows four bytes of attributes.
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


@dataclass(frozen=True)
class Bench:
    """What every boot of an image needs; `work` is a folder for what the machines write.

    `credentials` are brought to each machine: name -> text; each has the memory of `size`.
    """

    checks: CheckPlan
    iso: Path
    work: Path
    tools: Path
    credentials: Mapping[str, str]
    kvm: bool
    size: MachineSize = field(default_factory=MachineSize)

    def machine_by_bios(self) -> Machine:
        """Give a machine with the firmware of an old computer."""
        return self._machine("bios", "bios")

    def machine_by_uefi(self, lan: Lan | None = None) -> Machine:
        """Give a machine that starts nothing unsigned; without a network given, it has its own."""
        return self._machine("uefi-secure-boot", "uefi-secure-boot", lan)

    def machine_without_card(self) -> Machine:
        """Give a machine that no network can be reached from."""
        return self._machine("without-card", "bios", NoLan())

    def _machine(self, name: str, firmware: Firmware, lan: Lan | None = None) -> Machine:
        return Machine(
            self.iso,
            self.tools,
            self.work / name,
            firmware,
            lan=lan,
            kvm=self.kvm,
            size=self.size,
            credentials=self.credentials,
        )


@dataclass(frozen=True)
class Boot:
    """What a boot showed, and the identity that the system gave itself."""

    findings: tuple[Finding, ...]
    machine_id: str


def check_by_bios(bench: Bench) -> Boot:
    """Boot by BIOS and run the checks of a running system, the destructive ones from snapshots."""
    with bench.machine_by_bios() as machine:
        booted = judge_boot(machine, "boots_by_bios")
        machine_id = read_machine_id(machine)
        context = CheckContext(
            GuestHost(machine),
            wire=GuestWire(machine, machine),
            snapshots=machine,
            abort_on=(GuestFault,),
        )
        return Boot((booted, *check_machine(bench.checks, context)), machine_id)


def check_by_uefi(bench: Bench) -> Boot:
    """Boot by UEFI, and see that Secure Boot was on."""
    with bench.machine_by_uefi() as machine:
        return judge_uefi_boot(machine)


def check_without_card(bench: Bench) -> tuple[Finding, ...]:
    """Boot where there is no network card, and run the checks that promise something there.

    A profile without such a check is spared the boot.
    """
    if not has_offline_checks(bench.checks):
        reason = "no component of the profile promises anything of a machine without a network card"
        return (_finding(WITHOUT_CARD, "skip", reason, 0.0, "offline"),)
    with bench.machine_without_card() as machine:
        booted = judge_boot(machine, WITHOUT_CARD, "offline")
        context = CheckContext(GuestHost(machine), abort_on=(GuestFault,))
        return (booted, judge_no_card(machine), *check_offline(bench.checks, context))


def judge_no_card(machine: Machine) -> Finding:
    """Say whether the system really has no card: what it lists are no devices."""
    start = time.monotonic()
    cards = machine.run("ls -d /sys/class/net/*/device").stdout.decode(errors="replace").split()
    listed = machine.run("ls /sys/class/net").stdout.decode(errors="replace").split()
    is_without = not cards and "lo" in listed
    evidence = f"interfaces: {' '.join(listed)}; of a card: {' '.join(cards) or 'none'}"
    seconds = time.monotonic() - start
    outcome: Outcome = "pass" if is_without else "fail"
    return _finding("machine_has_no_card", outcome, evidence, seconds, "offline")


def judge_uefi_boot(machine: Machine) -> Boot:
    """Wait for a boot by UEFI, and see that Secure Boot was on."""
    booted = judge_boot(machine, "boots_by_uefi")
    return Boot((booted, judge_secure_boot(machine)), read_machine_id(machine))


def judge_boot(machine: Machine, check: str, tier: Tier = "running") -> Finding:
    """Wait for the end of a boot, and say whether every unit is up."""
    start = time.monotonic()
    machine.wait_for_shell(BOOT_TIMEOUT_S)
    state = machine.wait_for_boot(BOOT_TIMEOUT_S)
    seconds = time.monotonic() - start
    evidence = f"systemd says `{state}` after {seconds:.0f} s"
    if state != "running":
        failed = machine.run("systemctl list-units --failed --plain --no-legend | cut -d' ' -f1")
        evidence += f"; down: {' '.join(failed.stdout.decode(errors='replace').split())}"
    return _finding(check, "pass" if state == "running" else "fail", evidence, seconds, tier)


def judge_secure_boot(machine: Machine) -> Finding:
    """Say whether the firmware let only signed programs start."""
    start = time.monotonic()
    outcome = machine.run(f"od -An -tu1 -j4 -N1 {shlex.quote(SECURE_BOOT)}")
    value = outcome.stdout.decode(errors="replace").strip()
    evidence = f"the firmware's variable `SecureBoot` is `{value}`"
    seconds = time.monotonic() - start
    return _finding("secure_boot_is_on", "pass" if value == "1" else "fail", evidence, seconds)


def read_machine_id(machine: Machine) -> str:
    """Read the identity that the system gave itself."""
    return machine.run("cat /etc/machine-id").stdout.decode(errors="replace").strip()


def judge_machine_ids(ids: Sequence[str]) -> Finding:
    """Say whether each boot had an identity of its own."""
    is_new = all(ids) and len({*ids}) == len(ids)
    evidence = " and ".join(f"`{each}`" for each in ids)
    return _finding("machine_id_is_new_at_each_boot", "pass" if is_new else "fail", evidence, 0.0)


def _finding(
    check: str, outcome: Outcome, evidence: str, seconds: float, tier: Tier = "running"
) -> Finding:
    return Finding(check, WHOLE_IMAGE, tier, outcome, evidence, round(seconds, 3))

# SPDX-License-Identifier: GPL-3.0-or-later
"""The tier `traffic`: the unmodified image on a hostile network, from its start to its end."""

import time
from collections.abc import Callable

from gnoppix_build.app.traffic import (
    flush_command,
    judge_control,
    judge_phase,
    judge_probes,
    judge_scan,
    skip_control,
)
from gnoppix_build.app.verify import check_traffic
from gnoppix_build.checks.context import CheckContext
from gnoppix_build.checks.probes import probe_commands
from gnoppix_build.cli.verify_boot import Bench, Boot, judge_uefi_boot
from gnoppix_build.effects.guest_channel import GuestFault
from gnoppix_build.effects.hostile_lan import ALL_PORTS, HostileLan
from gnoppix_build.effects.qemu import Machine
from gnoppix_build.effects.qemu_command import SocketLan
from gnoppix_build.policy.model import Policy
from gnoppix_build.report.finding import Finding
from gnoppix_build.targets.vm import GuestHost

# Several advertisements, and a lease that has to be renewed.
IDLE_S = 40
FEW_PORTS = range(1, 33)
BEFORE_CONTROL = "before-control"


def check_on_hostile_network(bench: Bench, policy: Policy) -> Boot:
    """Boot by UEFI, idle, be lied to, be scanned, be checked, and shut down; judge every frame."""
    with (
        HostileLan() as lan,
        bench.machine_by_uefi(SocketLan(lan.guest_end.fileno())) as machine,
    ):
        trial = _Trial(lan, machine, policy)
        boot, booting = trial.booted()
        findings = [
            *boot.findings,
            booting,
            trial.judged("idle", lambda: _idle(machine)),
            trial.judged("lies", lan.lie),
            trial.scanned(),
            trial.probed(),
        ]
        context = CheckContext(GuestHost(machine), lan=lan, abort_on=(GuestFault,))
        findings += check_traffic(bench.checks, context)
        machine.save(BEFORE_CONTROL)
        findings.append(trial.controlled())
        machine.restore(BEFORE_CONTROL)
        findings.append(trial.judged("shutdown", machine.power_off))
        return Boot(tuple(findings), boot.machine_id)


class _Trial:
    """A machine on a hostile network, and what it sends there meanwhile."""

    def __init__(self, lan: HostileLan, machine: Machine, policy: Policy) -> None:
        self._lan = lan
        self._machine = machine
        self._policy = policy

    def booted(self) -> tuple[Boot, Finding]:
        """Give what the boot showed, and what was sent meanwhile."""
        boots: list[Boot] = []
        finding = self.judged("boot", lambda: boots.append(judge_uefi_boot(self._machine)))
        return boots[0], finding

    def judged(self, phase: str, action: Callable[[], object]) -> Finding:
        sent, seconds = self._sent_during(action)
        return judge_phase(phase, sent, self._policy, seconds)

    def scanned(self) -> Finding:
        start = time.monotonic()
        answers = self._lan.scan()
        return judge_scan(answers, self._policy, 2 * len(ALL_PORTS), time.monotonic() - start)

    def probed(self) -> Finding:
        return judge_probes(*self._sent_during(self._send_probes))

    def controlled(self) -> Finding:
        if not self._lan.sent():
            return skip_control()
        self._machine.run(flush_command(self._policy))
        sent, seconds = self._sent_during(self._send_probes)
        return judge_control(sent, self._lan.scan(FEW_PORTS), self._policy, seconds)

    def _send_probes(self) -> None:
        for command in probe_commands(self._policy):
            self._machine.run(command)

    def _sent_during(self, action: Callable[[], object]) -> tuple[list[bytes], float]:
        already, start = len(self._lan.sent()), time.monotonic()
        action()
        # What was sent last is still on its way.
        time.sleep(1)
        return self._lan.sent()[already:], time.monotonic() - start


def _idle(machine: Machine) -> None:
    machine.run(f"sleep {IDLE_S}")

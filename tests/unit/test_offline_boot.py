# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot of a machine without a network card: its hardware, and which profiles are put to it."""

from pathlib import Path
from typing import Self

import pytest

from gnoppix_build.app.verify import CheckPlan, has_offline_checks, plan_checks
from gnoppix_build.checks.context import CheckContext
from gnoppix_build.cli import session
from gnoppix_build.cli.verify_boot import Bench, check_without_card, judge_boot
from gnoppix_build.effects.qemu_command import (
    Firmware,
    Lan,
    MachinePlaces,
    MachineSize,
    NoLan,
    OwnLan,
    SocketLan,
    TapLan,
    descriptors_of,
    machine_command,
)
from gnoppix_build.report.finding import Finding
from gnoppix_build.targets.shell import CommandOutcome

PLACES = MachinePlaces("iso", "scratch", "recording", "serial", shell_socket=3, monitor_socket=4)
LANS: tuple[Lan, ...] = (OwnLan(), SocketLan(7), TapLan(7))
NO_CARD = b""
CARD = b"/sys/class/net/eth0/device\n"
CHECK = '''
import pytest
@pytest.mark.offline
def test_answers(host):
    """An answer is given."""
    assert host.check_output("ask") == "yes"
@pytest.mark.running
def test_other(host):
    assert False
'''


def command_for(lan: Lan, firmware: Firmware) -> tuple[str, ...]:
    return machine_command(PLACES, firmware, MachineSize(), lan, {}, kvm=False)


def network_arguments(command: tuple[str, ...]) -> list[str]:
    words = ("netdev", "virtio-net", "filter-dump", "-nic")
    return [each for each in command if any(word in each for word in words)]


def test_machine_without_a_network_has_no_card_and_no_recording() -> None:
    """What else there is, it has as any other machine."""
    command = command_for(NoLan(), "bios")
    assert network_arguments(command) == ["-nic"]
    assert command[command.index("-nic") + 1] == "none"
    assert descriptors_of(NoLan()) == ()
    for lan in LANS:
        assert len(network_arguments(command_for(lan, "bios"))) == 3
        assert {*command} - {"-nic", "none"} < {*command_for(lan, "bios")}


def plan_of(profile: str) -> bool:
    return has_offline_checks(plan_checks(session.require_profile(profile, ())))


def test_profiles_with_local_ai_are_booted_without_a_card() -> None:
    shipped = {Path(each).stem for each in session.shipped_profiles()}
    with_ai = {
        name
        for name in shipped
        if "ai-runtime"
        in {each.manifest.kind for each in session.require_profile(name, ()).components}
    }
    assert {"ai-offline", "tor-ai"} <= with_ai < shipped
    assert {name for name in shipped if plan_of(name)} == with_ai


class StandInMachine:
    """Boots to a state, and answers as a guest that has these cards."""

    def __init__(self, cards: bytes, state: str = "running") -> None:
        self.cards = cards
        self.state = state

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait_for_shell(self, timeout_s: float) -> None:
        pass

    def wait_for_boot(self, timeout_s: float) -> str:
        del timeout_s
        return self.state

    def run(self, command: str) -> CommandOutcome:
        said = {
            "ls -d /sys/class/net/*/device": self.cards,
            "ls /sys/class/net": b"eth0\nlo\n" if self.cards else b"lo\n",
            "ask": b"yes",
            "systemctl list-units --failed --plain --no-legend | cut -d' ' -f1": b"a.service\n",
        }
        return CommandOutcome(0, said[command], b"")


def bench_for(folder: Path, check: str) -> Bench:
    file = folder / "check_model.py"
    file.write_text(check)
    checks = CheckPlan({"model": file}, CheckContext(host=None))
    return Bench(checks, folder, folder, folder, {}, kvm=False)


def found(findings: tuple[Finding, ...]) -> list[tuple[str, str, str]]:
    assert {each.tier for each in findings} == {"offline"}
    return [(each.check, each.outcome, each.evidence) for each in findings]


@pytest.mark.parametrize(
    ("cards", "judged"),
    [
        (NO_CARD, ("pass", "interfaces: lo; of a card: none")),
        (CARD, ("fail", "interfaces: eth0 lo; of a card: /sys/class/net/eth0/device")),
    ],
)
def test_checks_of_the_tier_run_where_there_is_no_card(
    cards: bytes, judged: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bench, "machine_without_card", lambda _: StandInMachine(cards))
    assert found(check_without_card(bench_for(tmp_path, CHECK))) == [
        ("boots_without_a_card", "pass", "systemd says `running` after 0 s"),
        ("machine_has_no_card", *judged),
        ("test_answers", "pass", "An answer is given."),
    ]


def test_profile_that_promises_nothing_is_spared_the_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bench, "machine_without_card", lambda _: pytest.fail("it is booted"))
    check = CHECK.replace("offline", "static")
    reason = "no component of the profile promises anything of a machine without a network card"
    expected = [("boots_without_a_card", "skip", reason)]
    assert found(check_without_card(bench_for(tmp_path, check))) == expected


def test_boot_that_is_not_whole_names_what_is_down() -> None:
    finding = judge_boot(StandInMachine(NO_CARD, "degraded"), "boots")  # type: ignore[arg-type]
    assert finding.outcome == "fail"
    assert finding.evidence == "systemd says `degraded` after 0 s; down: a.service"

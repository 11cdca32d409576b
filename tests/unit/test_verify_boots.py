# SPDX-License-Identifier: GPL-3.0-or-later
"""How often an image is booted, and how, by the tiers that are asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from gnoppix_build.app.verify import CheckPlan
from gnoppix_build.checks.context import CheckContext
from gnoppix_build.cli import verify
from gnoppix_build.cli.verify_boot import Bench, Boot, judge_machine_ids
from gnoppix_build.effects.qemu_command import MachineSize
from gnoppix_build.policy.model import Policy
from gnoppix_build.report.finding import Finding

BENCH = Bench(CheckPlan({}, CheckContext(host=None)), Path(), Path(), Path(), {}, kvm=False)
WITHOUT_CARD = "boots_without_a_card"
IDS = "machine_id_is_new_at_each_boot"


def pass_of(name: str) -> Finding:
    return Finding(name, "image", "running", "pass", "", 0.0)


@pytest.mark.parametrize(
    ("tiers", "expected"),
    [
        (("boot",), ["bios"]),
        (("secure-boot",), ["uefi"]),
        (("traffic",), ["hostile"]),
        (("secure-boot", "traffic"), ["hostile"]),
        (("boot", "secure-boot"), ["bios", "uefi", IDS]),
        (("offline",), [WITHOUT_CARD]),
        (
            ("static", "boot", "secure-boot", "traffic", "offline"),
            ["bios", "hostile", IDS, WITHOUT_CARD],
        ),
    ],
)
def test_image_is_booted_once_for_each_firmware(
    tiers: tuple[str, ...], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = {"by_bios": "bios", "by_uefi": "uefi", "on_hostile_network": "hostile"}
    for function, name in ways.items():
        boot = Boot((pass_of(name),), machine_id=name)
        monkeypatch.setattr(verify, f"check_{function}", lambda *_, boot=boot: boot)
    findings = verify._verify_boots(BENCH, Policy("demo"), tiers)
    assert [finding.check for finding in findings] == expected


@pytest.mark.parametrize(("memory", "mib"), [(None, 2048), (3 * 1024**3, 3072)])
def test_machine_has_the_memory_of_the_profile(memory: int | None, mib: int) -> None:
    """What a profile declares is the least machine: that is the one to boot on."""
    size = MachineSize.with_memory(memory)
    assert replace(BENCH, size=size).machine_by_bios().size == MachineSize(memory_mib=mib)


@pytest.mark.parametrize(
    ("ids", "outcome"), [(("a", "b"), "pass"), (("a", "a"), "fail"), (("a", ""), "fail")]
)
def test_each_boot_has_to_have_an_identity_of_its_own(ids: tuple[str, ...], outcome: str) -> None:
    assert judge_machine_ids(ids).outcome == outcome

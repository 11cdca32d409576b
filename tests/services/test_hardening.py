# SPDX-License-Identifier: GPL-3.0-or-later
"""The hardening component against kernel-hardening-checker itself.

The values are those that a machine has which holds every declaration; that a booted one does is
shown by the component's checks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from check_module import load_checks
from checker_tool import install_checker

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.resolve import resolve

PROJECT = Path(__file__).parents[2]
FOLDER = COMPONENTS_FOLDER / "hardening"
KERNEL = "kernel_hardening_checker/config_files/distros/Debian_13_Trixie_x86_64.config"
ALWAYS = {"cfi", "efi", "hash_pointers", "init_on_free", "kernel.modules_disabled"}
GIVEN_BACK = {
    "bluetooth": set(),
    "debuggers": {"kernel.yama.ptrace_scope", "proc_mem.force_override"},
    "forwarding": set(),
    "ia32-programs": {"ia32_emulation"},
    "unsigned-modules": {"lockdown", "module.sig_enforce"},
    "user-namespaces": {"user.max_user_namespaces"},
}


@dataclass(frozen=True)
class Said:
    """What a command printed."""

    stdout: str


@dataclass
class ObedientMachine:
    """A host whose kernel has exactly what a profile declares."""

    config: str
    arguments: list[str]
    sysctl: dict[str, str] = field(default_factory=dict)

    def check_output(self, command: str) -> str:
        if command == "cat /proc/cmdline":
            return " ".join(("BOOT_IMAGE=/live/vmlinuz", *self.arguments))
        assert command == "cat /boot/config-$(uname -r)"
        return self.config

    def run(self, command: str) -> Said:
        assert command == "sysctl -a 2>/dev/null"
        return Said("".join(f"{key} = {value}\n" for key, value in self.sysctl.items()))


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder with the program, as Debian packs it."""
    return install_checker(tmp_path_factory.mktemp("checker"))


@pytest.fixture(autouse=True)
def checker_in_path(checker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checker), prepend=":")


@pytest.fixture
def checks(request: pytest.FixtureRequest) -> ModuleType:
    """Give the component's checks."""
    return load_checks("hardening", request.config)


@pytest.fixture
def harden(tmp_path: Path) -> Callable[..., Resolved]:
    """Give what resolves a profile with the component, some options and other components."""

    def resolve_with(options: Mapping[str, str], others: Sequence[str] = ()) -> Resolved:
        profile = tmp_path / "profile.yaml"
        lines = ["version: 1", "name: profile", "components:", f"  {FOLDER.name}:"]
        lines += [f"    {name}: {value}" for name, value in options.items()]
        lines += [f"  {name}: {{}}" for name in others]
        profile.write_text("\n".join(lines))
        reader = SourceFolders([PROJECT, tmp_path])
        resolution = resolve(profile, load_catalog([COMPONENTS_FOLDER], reader), reader, "image")
        assert resolution.resolved is not None, resolution.diagnostics
        return resolution.resolved

    return resolve_with


def obey(profile: Resolved, checker: Path) -> ObedientMachine:
    parts = [each for component in profile.components for each in component.contributions]
    config = checker.parent / "tree/usr/lib/python3/dist-packages" / KERNEL
    return ObedientMachine(
        config.read_text().rstrip("\n"),
        [argument for each in parts for argument in each.kernel_arguments],
        {key: value for each in parts for key, value in each.sysctl.items()},
    )


def unmet(verdicts: Mapping[str, bool]) -> set[str]:
    return {check for check, is_met in verdicts.items() if not is_met}


def lacking(machine: ObedientMachine) -> Iterator[tuple[str, ObedientMachine]]:
    """Give the machine again and again, each time with one declared thing missing."""
    for argument in machine.arguments:
        arguments = [each for each in machine.arguments if each != argument]
        yield argument, ObedientMachine(machine.config, arguments, machine.sysctl)
    for key in machine.sysctl:
        sysctl = {each: value for each, value in machine.sysctl.items() if each != key}
        yield key, ObedientMachine(machine.config, machine.arguments, sysctl)


def test_hardened_meets_all_but_the_declared_checks(
    harden: Any, checker: Path, checks: ModuleType, tmp_path: Path
) -> None:
    verdicts = checks.judge_kernel(obey(harden({"level": "hardened"}), checker), tmp_path)
    assert unmet(verdicts) == ALWAYS
    assert len(verdicts) - len(ALWAYS) >= 95


def test_memory_hygiene_meets_one_more(
    harden: Any, checker: Path, checks: ModuleType, tmp_path: Path
) -> None:
    profile = harden({"level": "hardened"}, ["memory-hygiene"])
    verdicts = checks.judge_kernel(obey(profile, checker), tmp_path)
    assert unmet(verdicts) == ALWAYS - {"init_on_free"}


@pytest.mark.parametrize("option", sorted(GIVEN_BACK))
def test_option_gives_back_what_its_exceptions_say(
    option: str, harden: Any, checker: Path, checks: ModuleType, tmp_path: Path
) -> None:
    profile = harden({"level": "hardened", option: "on"})
    verdicts = checks.judge_kernel(obey(profile, checker), tmp_path)
    exceptions = checks.holding_exceptions(profile.components[0])
    assert unmet(verdicts) - ALWAYS == GIVEN_BACK[option]
    assert {check for check, is_given_up in exceptions.items() if is_given_up} == GIVEN_BACK[option]


def test_balanced_lacks_what_its_exceptions_say(
    harden: Any, checker: Path, checks: ModuleType, tmp_path: Path
) -> None:
    profile = harden({"level": "balanced"})
    verdicts = checks.judge_kernel(obey(profile, checker), tmp_path)
    assert unmet(verdicts) == {*checks.holding_exceptions(profile.components[0])}


@pytest.mark.parametrize("level", ["balanced", "hardened"])
def test_check_passes_on_a_machine_that_holds_its_declarations(
    level: str, harden: Any, checker: Path, checks: ModuleType, tmp_path: Path
) -> None:
    profile = harden({"level": level})
    checks.test_kernel_passes_the_checker(
        obey(profile, checker), profile, profile.components[0].options, tmp_path
    )


@pytest.mark.parametrize(
    "missing",
    [
        *("hardened_usercopy=1", "lockdown=confidentiality", "nosmt"),
        *("kernel.kptr_restrict", "net.ipv6.conf.all.accept_ra", "vm.mmap_rnd_bits"),
    ],
)
def test_check_fails_when_one_thing_is_missing(
    missing: str, harden: Any, checker: Path, checks: ModuleType, tmp_path: Path
) -> None:
    profile = harden({"level": "hardened"})
    machine = dict(lacking(obey(profile, checker)))[missing]
    with pytest.raises(AssertionError, match="neither met nor an exception"):
        checks.test_kernel_passes_the_checker(
            machine, profile, profile.components[0].options, tmp_path
        )

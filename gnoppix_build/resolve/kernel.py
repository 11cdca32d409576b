# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's settings, arguments and modules: what one component sets, another may not change."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.node import Path
from gnoppix_build.resolve.model import Part, ResolvedComponent
from gnoppix_build.resolve.parties import (
    Party,
    make_party,
    merge_parties,
    named,
    tell,
    verb,
    ways_out,
)
from gnoppix_build.resolve.selection import Selection

# Each further one adds to the others. Source: kernel-parameters.txt of Linux.
_ADDING_ARGUMENTS: Final = frozenset(("console", "earlycon"))

# Each lists modules. Source: kernel-parameters.txt of Linux, modprobe.d(5).
_BLOCKING_ARGUMENTS: Final = frozenset(("modprobe.blacklist", "module_blacklist"))
# Source: kernel-parameters.txt of Linux, `sysctl.*=`.
_SETTING_ARGUMENT: Final = "sysctl."


def setting_name(key: str) -> str:
    """Write a kernel setting's key in the one way of the two that sysctl.d(5) knows.

    In a key whose first separator is `/`, a `.` is part of a word.
    """
    bare = key.removeprefix("-")
    slash, dot = bare.find("/"), bare.find(".")
    if slash < 0 or 0 <= dot < slash:
        return bare
    return bare.translate(str.maketrans("/.", "./"))


@dataclass(frozen=True, slots=True)
class KernelSetting:
    """What a component sets a kernel setting to, and where its last word on it stands."""

    value: str
    part: Part
    path: Path


def kernel_settings(component: ResolvedComponent) -> dict[str, KernelSetting]:
    """Map each setting to what it is set to; an argument of the kernel comes before any file."""
    found: dict[str, KernelSetting] = {}
    for part in component.parts:
        for index, argument in enumerate(part.contribution.kernel_arguments):
            key, _, value = argument.partition("=")
            if key.startswith(_SETTING_ARGUMENT):
                path = (*part.path, "kernel-arguments", index)
                name = setting_name(key.removeprefix(_SETTING_ARGUMENT))
                found[name] = KernelSetting(value, part, path)
    for part in component.parts:
        for key, value in part.contribution.sysctl.items():
            path = (*part.path, "sysctl", key)
            found[setting_name(key)] = KernelSetting(" ".join(value.split()), part, path)
    return found


def check_settings_of_kernel(selection: Selection) -> Iterator[Diagnostic]:
    """Find settings to which two components give different values."""
    wanted: dict[str, dict[str, list[Party]]] = defaultdict(lambda: defaultdict(list))
    for component in selection.components:
        for name, each in kernel_settings(component).items():
            fact = f"`{component.name}` sets it to `{each.value}` here"
            party = make_party(component, each.path, fact, each.part.when)
            wanted[name][each.value].append(party)
    for name, values in wanted.items():
        if len(values) > 1:
            yield _tell_values("sysctl-taken", f"the kernel setting `{name}`", values)


def check_arguments(selection: Selection) -> Iterator[Diagnostic]:
    """Find arguments of the kernel to which two components give different values."""
    wanted: dict[str, dict[str, list[Party]]] = defaultdict(lambda: defaultdict(list))
    for component in selection.components:
        for part in component.parts:
            for index, argument in enumerate(part.contribution.kernel_arguments):
                key, _, value = argument.partition("=")
                fact = f"`{component.name}` says `{argument}` here"
                path = (*part.path, "kernel-arguments", index)
                wanted[key][value].append(make_party(component, path, fact, part.when))
    for key, values in wanted.items():
        if len(values) > 1 and key not in _ADDING_ARGUMENTS:
            yield _tell_values("argument-taken", f"the kernel argument `{key}`", values)


def check_modules(selection: Selection) -> Iterator[Diagnostic]:
    """Find modules that one component needs and another blocks."""
    needed: dict[str, list[Party]] = defaultdict(list)
    blocked: dict[str, list[Party]] = defaultdict(list)
    for component in selection.components:
        for part in component.parts:
            for index, module in enumerate(part.contribution.kernel_modules):
                path = (*part.path, "kernel-modules", index)
                fact = f"`{component.name}` needs it here"
                needed[module_name(module)].append(make_party(component, path, fact, part.when))
            for module, path in _blocked(part):
                fact = f"`{component.name}` blocks it here"
                blocked[module_name(module)].append(make_party(component, path, fact, part.when))
    for module in sorted(needed.keys() & blocked.keys()):
        blockers, users = merge_parties(blocked[module]), merge_parties(needed[module])
        message = (
            f"{named(blockers)} {verb(blockers, 'blocks', 'block')} the kernel module `{module}`, "
            f"which {named(users)} {verb(users, 'needs', 'need')}"
        )
        hint = ways_out((blockers, users))
        yield tell("module-blocked", message, (*blockers, *users), hint)


def _blocked(part: Part) -> Iterator[tuple[str, Path]]:
    """Give the modules that a part blocks, in its list or by an argument of the kernel."""
    for index, module in enumerate(part.contribution.blocked_modules):
        yield module, (*part.path, "blocked-modules", index)
    for index, argument in enumerate(part.contribution.kernel_arguments):
        key, _, value = argument.partition("=")
        if key in _BLOCKING_ARGUMENTS:
            for module in value.split(","):
                yield module, (*part.path, "kernel-arguments", index)


def module_name(written: str) -> str:
    """Write a module's name as the kernel does: `-` and `_` are the same to modprobe(8)."""
    return written.replace("-", "_")


def _tell_values(code: str, thing: str, values: dict[str, list[Party]]) -> Diagnostic:
    parties = merge_parties(each for claims in values.values() for each in claims)
    message = f"{named(parties)} want different values of {thing}"
    return tell(code, message, parties, ways_out([[each] for each in parties]))

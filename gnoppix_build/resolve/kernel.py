# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's settings, arguments and modules: what one component sets, another may not change."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from gnoppix_build.diagnostics import Diagnostic
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


def setting_name(key: str) -> str:
    """Write a kernel setting's key in the one way of the two that sysctl.d(5) knows.

    In a key whose first separator is `/`, a `.` is part of a word.
    """
    bare = key.removeprefix("-")
    slash, dot = bare.find("/"), bare.find(".")
    if slash < 0 or 0 <= dot < slash:
        return bare
    return bare.translate(str.maketrans("/.", "./"))


def kernel_settings(component: ResolvedComponent) -> dict[str, tuple[str, Part, str]]:
    """Map each setting to its value, the part that has the last word, and the key as written."""
    return {
        setting_name(key): (" ".join(value.split()), part, key)
        for part in component.parts
        for key, value in part.contribution.sysctl.items()
    }


def check_settings_of_kernel(selection: Selection) -> Iterator[Diagnostic]:
    """Find settings to which two components give different values."""
    wanted: dict[str, dict[str, list[Party]]] = defaultdict(lambda: defaultdict(list))
    for component in selection.components:
        for name, (value, part, key) in kernel_settings(component).items():
            fact = f"`{component.name}` sets it to `{value}` here"
            path = (*part.path, "sysctl", key)
            wanted[name][value].append(make_party(component, path, fact, part.when))
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
            for index, module in enumerate(part.contribution.blocked_modules):
                path = (*part.path, "blocked-modules", index)
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


def module_name(written: str) -> str:
    """Write a module's name as the kernel does: `-` and `_` are the same to modprobe(8)."""
    return written.replace("-", "_")


def _tell_values(code: str, thing: str, values: dict[str, list[Party]]) -> Diagnostic:
    parties = merge_parties(each for claims in values.values() for each in claims)
    message = f"{named(parties)} want different values of {thing}"
    return tell(code, message, parties, ways_out([[each] for each in parties]))

# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's arguments and modules: what one component sets, another may not change."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.node import Path
from gnoppix_build.resolve.model import Part
from gnoppix_build.resolve.parties import (
    Party,
    make_party,
    merge_parties,
    named,
    tell,
    tell_values,
    verb,
    ways_out,
)
from gnoppix_build.resolve.selection import Selection

# Each further one adds to the others. Source: kernel-parameters.txt of Linux.
_ADDING_ARGUMENTS: Final = frozenset(("console", "earlycon"))

# Each lists modules. Source: kernel-parameters.txt of Linux, modprobe.d(5).
_BLOCKING_ARGUMENTS: Final = frozenset(("modprobe.blacklist", "module_blacklist"))


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
            yield tell_values("argument-taken", f"the kernel argument `{key}`", values.values())


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

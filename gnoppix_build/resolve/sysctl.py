# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's settings: their names as sysctl.d(5) reads them, and who sets them to what."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.node import Path
from gnoppix_build.resolve.model import Part, ResolvedComponent
from gnoppix_build.resolve.parties import Party, make_party, tell_values
from gnoppix_build.resolve.selection import Selection

# Source: kernel-parameters.txt of Linux, `sysctl.*=`.
_SETTING_ARGUMENT: Final = "sysctl."
# One variable of the kernel each. Source: devinet.c and nf_conntrack_standalone.c of Linux.
_OTHER_NAMES: Final[Mapping[str, str]] = {
    "net.ipv4.ip_forward": "net.ipv4.conf.all.forwarding",
    "net.nf_conntrack_max": "net.netfilter.nf_conntrack_max",
}
# Source: strtoul_lenient() in sysctl.c of Linux.
_NUMBER: Final = re.compile(r"-?(0[xX][0-9A-Fa-f]+|0[0-7]*|[1-9][0-9]*)")

Meaning = tuple[int | str, ...]


def setting_name(key: str) -> str:
    """Write a kernel setting's key in the one way of the two that sysctl.d(5) knows.

    In a key whose first separator is `/`, a `.` is part of a word.
    """
    bare = key.removeprefix("-")
    slash, dot = bare.find("/"), bare.find(".")
    if slash < 0 or 0 <= dot < slash:
        return bare
    return bare.translate(str.maketrans("/.", "./"))


def meaning_of(value: str) -> Meaning:
    """Read a value as the kernel does: numbers are equal however they are written."""
    return tuple(_number(word) if _NUMBER.fullmatch(word) else word for word in value.split())


def _number(word: str) -> int:
    digits = word.removeprefix("-").lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    return int(digits, base) * (-1 if word.startswith("-") else 1)


@dataclass(frozen=True, slots=True)
class KernelSetting:
    """What a component sets a kernel setting to, and where its last word on it stands.

    `name` is as the component has it: one of several names, or a pattern for several settings.
    """

    name: str
    value: str
    part: Part
    path: Path

    @property
    def is_pattern(self) -> bool:
        """Tell whether it stands for whatever settings there are of such names."""
        return "*" in self.name


def kernel_settings(component: ResolvedComponent) -> tuple[KernelSetting, ...]:
    """Give what a component sets, each once; an argument of the kernel comes before any file."""
    found: dict[str, KernelSetting] = {}
    for part in component.parts:
        for index, argument in enumerate(part.contribution.kernel_arguments):
            key, _, value = argument.partition("=")
            if key.startswith(_SETTING_ARGUMENT):
                path = (*part.path, "kernel-arguments", index)
                name = setting_name(key.removeprefix(_SETTING_ARGUMENT))
                found[_first_name(name)] = KernelSetting(name, value, part, path)
    for part in component.parts:
        for key, value in part.contribution.sysctl.items():
            path = (*part.path, "sysctl", key)
            name = setting_name(key)
            setting = KernelSetting(name, " ".join(value.split()), part, path)
            found[_first_name(name)] = setting
    return tuple(found.values())


def settings_at(component: ResolvedComponent, key: str) -> tuple[KernelSetting, ...]:
    """Give what a component sets the settings of a key to; a pattern yields to a name."""
    name = setting_name(key)
    meant = [each for each in kernel_settings(component) if _meet(each.name, name)]
    exact = [each for each in meant if not each.is_pattern]
    return tuple(meant if "*" in name or not exact else exact)


def check_settings_of_kernel(selection: Selection) -> Iterator[Diagnostic]:
    """Find settings to which two components give different values."""
    every = [each for component in selection.components for each in kernel_settings(component)]
    names = {_first_name(each.name) for each in every}
    for name in sorted(each for each in names if "*" not in each):
        yield from _check(
            (component, each)
            for component in selection.components
            for each in settings_at(component, name)
        )
    for name in sorted(each for each in names if "*" in each):
        yield from _check(
            (component, each)
            for component in selection.components
            for each in settings_at(component, name)
            if each.is_pattern
        )


def _check(claims: Iterable[tuple[ResolvedComponent, KernelSetting]]) -> Iterator[Diagnostic]:
    """Tell of claims on one setting that differ."""
    known = list(claims)
    names = {each.name for _, each in known}
    exact = {name for name in names if "*" not in name}
    shown = min(exact or names)
    values: dict[Meaning, list[Party]] = defaultdict(list)
    for component, each in known:
        what = "it" if len(names) == 1 else f"`{each.name}`"
        fact = f"`{component.name}` sets {what} to `{each.value}` here"
        values[meaning_of(each.value)].append(
            make_party(component, each.path, fact, each.part.when)
        )
    if len(values) > 1 and len({component.name for component, _ in known}) > 1:
        yield tell_values("sysctl-taken", f"the kernel setting `{shown}`", values.values())


def _first_name(name: str) -> str:
    return _OTHER_NAMES.get(name, name)


def _meet(one: str, other: str) -> bool:
    """Tell whether two names or patterns mean a setting in common."""
    return any(_match(left, right) for left in _spellings(one) for right in _spellings(other))


def _spellings(name: str) -> set[str]:
    first = _first_name(name)
    return {name, first, *(each for each, same in _OTHER_NAMES.items() if same == first)}


def _match(one: str, other: str) -> bool:
    """Compare word by word: as in a path, `*` stands for no separator."""
    left, right = one.split("."), other.split(".")
    return len(left) == len(right) and all(
        fnmatchcase(word, beside) or fnmatchcase(beside, word)
        for word, beside in zip(left, right, strict=True)
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""What each component brings, as the playbooks take it; for a machine in the order of its steps.

A machine's gate is what decides who gets in: firewall, network and remote access. It is changed
last and by itself, see `apply_gate` of the playbooks' role.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from gnoppix_build.lock.wanted import component_packages
from gnoppix_build.render.payloads import payloads_of
from gnoppix_build.render.tree import ImageFile
from gnoppix_build.resolve.model import Resolved, ResolvedComponent

_EXTRA_PACKAGES: Final = "packages-of-the-profile"
_GATE: Final = frozenset(("carrier", "network", "packet-filter", "vpn", "way-in"))
"""What a component provides that is of a machine's gate."""
_APT_FOLDER: Final = "/etc/apt/"

Change = Literal["disable", "mask", "enable"]
_CHANGES: Final[tuple[Change, ...]] = ("disable", "mask", "enable")


@dataclass(frozen=True, slots=True)
class DescribedFile:
    """A file; its bytes lie in `project/files/COMPONENT` under its own path."""

    path: str
    mode: str
    owner: str
    group: str


@dataclass(frozen=True, slots=True)
class DescribedComponent:
    """A component; `units`: enable, disable or mask -> units; `tasks`: whether it has a file.

    `payloads` are paths; their bytes lie in `project/payload` under them. An image has its own.
    """

    name: str
    packages: tuple[str, ...]
    files: tuple[DescribedFile, ...]
    payloads: tuple[str, ...]
    units: Mapping[Change, tuple[str, ...]]
    tasks: bool


@dataclass(frozen=True, slots=True)
class MachineFile(DescribedFile):
    """A file with its component."""

    component: str


@dataclass(frozen=True, slots=True)
class MachineUnit:
    """A unit, what is wanted of it, and the step that sees to it."""

    unit: str
    wanted: Change
    component: str
    part: Literal["ordinary", "gate"]


@dataclass(frozen=True, slots=True)
class DescribedMachine:
    """What a machine gets in the steps that are not of one component.

    `sysusers` is text of sysusers.d(5), `files` the paths of all files and payloads outside the
    gate; files that apt reads come when all else runs.
    """

    suite: str
    sysusers: str
    packages: tuple[str, ...]
    files: tuple[str, ...]
    apt_files: tuple[MachineFile, ...]
    gate_files: tuple[MachineFile, ...]
    units: tuple[MachineUnit, ...]


def describe_components(
    resolved: Resolved, files: Sequence[ImageFile], with_tasks: frozenset[str]
) -> tuple[DescribedComponent, ...]:
    """Describe all components, and the profile's own packages as one more."""
    components = tuple(
        DescribedComponent(
            component.name,
            tuple(sorted({*component_packages(component)})),
            tuple(_describe_files(component, files)),
            tuple(payloads_of(component)) if resolved.target == "machine" else (),
            {change: _units_of(component, change) for change in ("enable", "disable", "mask")},
            tasks=component.name in with_tasks,
        )
        for component in resolved.components
    )
    if not resolved.packages:
        return components
    nothing: Mapping[Change, tuple[str, ...]] = {"enable": (), "disable": (), "mask": ()}
    names = tuple(sorted(resolved.packages))
    return (*components, DescribedComponent(_EXTRA_PACKAGES, names, (), (), nothing, tasks=False))


def describe_machine(
    resolved: Resolved, components: Sequence[DescribedComponent], sysusers: str
) -> DescribedMachine:
    """Describe the steps that a machine has besides those of its components."""
    gate = _gate_of(resolved)
    files = tuple(
        MachineFile(each.path, each.mode, each.owner, each.group, component.name)
        for component in components
        for each in component.files
    )
    ordinary = tuple(file for file in files if file.component not in gate)
    return DescribedMachine(
        suite=resolved.suite,
        sysusers=sysusers,
        packages=tuple(sorted({name for each in components for name in each.packages})),
        files=(
            *(file.path for file in ordinary),
            *(path for component in components for path in component.payloads),
        ),
        apt_files=tuple(file for file in ordinary if _is_for_apt(file)),
        gate_files=tuple(file for file in files if file.component in gate),
        units=tuple(_machine_units(components, gate)),
    )


def without_later_steps(
    resolved: Resolved, components: Sequence[DescribedComponent]
) -> tuple[DescribedComponent, ...]:
    """Leave what a machine gets component by component."""
    gate = _gate_of(resolved)
    return tuple(
        replace(each, files=tuple(file for file in each.files if not _is_for_apt(file)))
        for each in components
        if each.name not in gate
    )


def _gate_of(resolved: Resolved) -> frozenset[str]:
    return frozenset(
        each.name for each in resolved.components if not _GATE.isdisjoint(each.manifest.provides)
    )


def _is_for_apt(file: DescribedFile) -> bool:
    return file.path.startswith(_APT_FOLDER)


def _describe_files(
    component: ResolvedComponent, files: Sequence[ImageFile]
) -> Iterator[DescribedFile]:
    for file in files:
        if file.origin == component.name:
            yield DescribedFile(file.path, f"{file.mode:04o}", file.owner, file.group)


def _units_of(component: ResolvedComponent, change: Change) -> tuple[str, ...]:
    named = (getattr(each.units, change) for each in component.contributions)
    return tuple(sorted({unit for units in named for unit in units}))


def _machine_units(
    components: Sequence[DescribedComponent], gate: frozenset[str]
) -> Iterator[MachineUnit]:
    """Give each unit once, for the first component that wants something of it."""
    known: set[str] = set()
    for component in components:
        for change in _CHANGES:
            for unit in component.units[change]:
                if unit not in known:
                    known.add(unit)
                    part: Literal["ordinary", "gate"] = (
                        "gate" if component.name in gate else "ordinary"
                    )
                    yield MachineUnit(unit, change, component.name, part)

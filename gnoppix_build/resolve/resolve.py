# SPDX-License-Identifier: GPL-3.0-or-later
"""A profile's name or path to everything decided, or to the list of what is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from gnoppix_build.catalog.load import Catalog
from gnoppix_build.diagnostics import Diagnostic, Span
from gnoppix_build.language.source import SourceReader, source_name
from gnoppix_build.language.suggestion import did_you_mean
from gnoppix_build.resolve.choose import choose_components
from gnoppix_build.resolve.graph import check_conflicts, check_requirements, order_components
from gnoppix_build.resolve.inherit import Family, load_family, profile_names
from gnoppix_build.resolve.left_out import divide_components
from gnoppix_build.resolve.memory import check_memory
from gnoppix_build.resolve.merge import Merger
from gnoppix_build.resolve.model import Resolved, ResolvedComponent, Target
from gnoppix_build.resolve.rules import check_selection
from gnoppix_build.resolve.selection import Selection, find_package_places
from gnoppix_build.resolve.settings import DEFAULT_KEYBOARD, DEFAULT_LOCALE, check_settings

DEFAULT_SUITE: Final = "trixie"
DEFAULT_ARCHITECTURE: Final = "amd64"
DEFAULT_AREAS: Final = ("main",)


@dataclass(frozen=True, slots=True)
class Resolution:
    """What resolving gave: no `resolved` with errors; `sources` maps file names to texts."""

    resolved: Resolved | None
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, str]


def resolve(
    profile: str | Path,
    catalog: Catalog,
    reader: SourceReader,
    target: Target,
    folders: Sequence[Path] = (),
) -> Resolution:
    """Resolve a profile, given by its path or by its name in one of the folders.

    The mistakes of the catalog, of the profile and of all that it extends are told together,
    sorted by place.
    """
    path = find_profile(profile, folders, reader)
    if path is None:
        name = str(profile)
        hint = did_you_mean(name, profile_names(folders, reader))
        place = Span(name, 1, 1, 1, 1)
        fault = Diagnostic("unknown-profile", f"there is no profile `{name}`", place, (), hint)
        return Resolution(None, (fault,), {})
    family = load_family(path, folders, reader)
    sources = {**catalog.sources, **family.sources}
    diagnostics = [*catalog.diagnostics, *family.diagnostics]
    resolved: Resolved | None = None
    if family.members and family.members[-1].root.span.file == source_name(path):
        resolved = _resolve_family(family, catalog, target, diagnostics)
    if any(each.severity == "error" for each in diagnostics):
        resolved = None
    return Resolution(resolved, sort_diagnostics(diagnostics), sources)


def find_profile(profile: str | Path, folders: Sequence[Path], reader: SourceReader) -> Path | None:
    """Find a profile: a path is taken as it is, a name is looked up in the folders."""
    if isinstance(profile, Path) or "/" in profile or profile.endswith(".yaml"):
        return Path(profile)
    file = f"{profile}.yaml"
    return next((folder / file for folder in folders if file in reader.files(folder)), None)


def sort_diagnostics(diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sort by place and leave out what is said twice."""
    once = dict.fromkeys(diagnostics)
    return tuple(sorted(once, key=lambda each: (each.span, each.code, each.message)))


def _resolve_family(
    family: Family, catalog: Catalog, target: Target, diagnostics: list[Diagnostic]
) -> Resolved:
    chosen = choose_components(family.members, catalog)
    diagnostics += chosen.diagnostics
    division = divide_components(chosen.components, catalog, target)
    kept = division.kept
    diagnostics += check_requirements(kept, chosen.components, chosen.places, catalog)
    diagnostics += check_conflicts(kept, chosen.places)
    ordered, cycles = order_components(kept, chosen.places)
    diagnostics += cycles
    merged = _merge(family, ordered, target, division.notes, diagnostics)
    selection = Selection(
        components=tuple(kept.values()),
        packages=find_package_places(merged.packages, family.members),
        catalog=catalog,
        target=target,
    )
    diagnostics += check_selection(selection)
    diagnostics += check_settings(merged, family.members, catalog)
    diagnostics += check_memory(merged, family.members)
    return merged


def _merge(
    family: Family,
    components: tuple[ResolvedComponent, ...],
    target: Target,
    notes: tuple[str, ...],
    diagnostics: list[Diagnostic],
) -> Resolved:
    merger = Merger(family.members, diagnostics)
    own = family.members[-1].profile
    return Resolved(
        name=own.name,
        summary=own.summary,
        suite=merger.scalar(("suite",), lambda each: each.profile.suite, DEFAULT_SUITE),
        areas=merger.sequence("areas", lambda each: each.profile.areas) or DEFAULT_AREAS,
        architecture=merger.scalar(
            ("architecture",), lambda each: each.profile.architecture, DEFAULT_ARCHITECTURE
        ),
        locale=merger.scalar(("locale",), lambda each: each.profile.locale, DEFAULT_LOCALE),
        keyboard=merger.scalar(("keyboard",), lambda each: each.profile.keyboard, DEFAULT_KEYBOARD),
        mirror=merger.optional_scalar(("mirror",), lambda each: each.profile.mirror),
        target=target,
        components=components,
        packages=merger.sequence("packages", lambda each: each.profile.packages),
        compression=_compression(merger),
        notes=notes,
        memory=_memory(merger),
    )


def _compression(merger: Merger) -> Literal["development", "release"]:
    found = merger.optional_scalar(
        ("outputs", "iso", "compression"),
        lambda each: each.profile.outputs.iso.compression if each.profile.outputs.iso else None,
    )
    return "release" if found == "release" else "development"


def _memory(merger: Merger) -> int | None:
    return merger.optional_scalar(("machine", "memory"), lambda each: each.profile.machine.memory)

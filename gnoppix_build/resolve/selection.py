# SPDX-License-Identifier: GPL-3.0-or-later
"""What a profile selects, before it is judged as a whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gnoppix_build.catalog.load import Catalog
from gnoppix_build.diagnostics import Span
from gnoppix_build.language.node import span_of
from gnoppix_build.profile.model import Packages
from gnoppix_build.resolve.inherit import Member
from gnoppix_build.resolve.model import ResolvedComponent, Target


@dataclass(frozen=True, slots=True)
class Selection:
    """The components that the target gets, and the profile's own packages with their places."""

    components: tuple[ResolvedComponent, ...]
    packages: Mapping[str, Span]
    catalog: Catalog
    target: Target = "image"


def find_package_places(packages: Sequence[str], members: Sequence[Member]) -> Mapping[str, Span]:
    """Give each package of the merged list the place where a profile names it last."""
    places = {
        name: span_of(member.root, path)
        for member in members
        for name, path in _named_packages(member.profile.packages)
    }
    return {name: places[name] for name in packages}


def _named_packages(
    packages: tuple[str, ...] | Packages,
) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    match packages:
        case Packages():
            for index, name in enumerate(packages.replace or ()):
                yield name, ("packages", "replace", index)
        case names:
            for index, name in enumerate(names):
                yield name, ("packages", index)

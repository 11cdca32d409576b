# SPDX-License-Identifier: GPL-3.0-or-later
"""Components that a target does not get: those not made for it, and what needs only these."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from gnoppix_build.catalog.load import Catalog
from gnoppix_build.resolve.model import ResolvedComponent, Target

Components = Mapping[str, ResolvedComponent]


@dataclass(frozen=True, slots=True)
class Division:
    """The components that a target gets, and a note for each other, sorted by name."""

    kept: Components
    notes: tuple[str, ...]


def divide_components(asked: Components, catalog: Catalog, target: Target) -> Division:
    """Leave out what does not apply to the target, and what needs a feature from that alone.

    A component that is not made for a machine would damage it, and what it is for the machine has
    of its own: so requirements are met. A feature that only such a component gives it has not.
    """
    reasons = {
        name: f"it does not apply to a target of type `{target}`"
        for name, component in asked.items()
        if target not in component.manifest.targets
    }
    while further := dict(_without_use(asked, reasons.keys(), catalog)):
        reasons |= further
    return Division(
        {name: component for name, component in asked.items() if name not in reasons},
        tuple(f"`{name}` is left out: {reasons[name]}" for name in sorted(reasons)),
    )


def _without_use(
    asked: Components, left_out: Collection[str], catalog: Catalog
) -> Iterator[tuple[str, str]]:
    """Find what needs a feature that nothing gives any more; gives name -> why."""
    given = {thing for name, each in asked.items() if name not in left_out for thing in each.offers}
    for name, component in asked.items():
        needed = {need.name for part in component.contributions for need in part.needs}
        for feature in sorted(needed) if name not in left_out else ():
            known = catalog.features.get(feature)
            givers = {*known.feature.given_by} if known else set()
            gone = [other for other in sorted(left_out) if givers & asked[other].offers]
            if gone and not givers & given:
                yield name, f"it needs `{feature}`, which only `{gone[0]}` gives"

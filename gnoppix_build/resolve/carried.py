# SPDX-License-Identifier: GPL-3.0-or-later
"""Features that end for the component whose users go through another: a Tor carried by a Tor."""

from collections.abc import Iterator

from gnoppix_build.catalog.features import CataloguedFeature
from gnoppix_build.catalog.network import CarriedEgress
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.resolve.features import explained, needing_parties
from gnoppix_build.resolve.model import ResolvedComponent
from gnoppix_build.resolve.parties import Party, make_party, merge_parties, tell, ways_out
from gnoppix_build.resolve.selection import Selection


def check_carried(selection: Selection) -> Iterator[Diagnostic]:
    """Find components that need a feature and send a user through what ends it for them."""
    for feature in selection.catalog.features.values():
        if not feature.feature.ended_by.ways:
            continue
        needing = merge_parties(needing_parties(feature, selection))
        for component in selection.components:
            own = [each for each in needing if each.name == component.name]
            carried = merge_parties(_carried(feature, component, selection))
            if own and carried:
                message = (
                    f"`{component.name}` needs `{feature.name}`, which is gone for what is sent "
                    "through another component"
                )
                parties = explained(feature, [*carried, *own])
                hint = feature.feature.hint or ways_out([carried])
                yield tell("feature-taken-away", message, parties, hint)


def _carried(
    feature: CataloguedFeature, component: ResolvedComponent, selection: Selection
) -> Iterator[Party]:
    ways = {*feature.feature.ended_by.ways}
    for index, egress in enumerate(component.manifest.egress):
        if not isinstance(egress, CarriedEgress) or not component.holds(egress.when):
            continue
        carriers = [each for each in selection.components if egress.through in each.offers]
        if any(ways & each.offers for each in carriers):
            fact = f"`{component.name}` sends `{egress.user}` through `{egress.through}` here"
            yield make_party(component, ("egress", index, "through"), fact, egress.when)

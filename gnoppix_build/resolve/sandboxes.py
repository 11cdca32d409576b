# SPDX-License-Identifier: GPL-3.0-or-later
"""Features that a component needs and that the sandboxes of its own units end."""

from collections.abc import Iterator

from gnoppix_build.catalog.features import CataloguedFeature
from gnoppix_build.catalog.service import Service
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.resolve.features import explained, needing_parties
from gnoppix_build.resolve.model import ResolvedComponent
from gnoppix_build.resolve.parties import Party, listed, make_party, merge_parties, tell
from gnoppix_build.resolve.selection import Selection


def check_sandboxes(selection: Selection) -> Iterator[Diagnostic]:
    """Find components with units of their own, none of which relaxes what a need asks for.

    What needs it may be the component by its own word, or a package that it brings.
    """
    for feature in selection.catalog.features.values():
        if not feature.feature.ended_by.sandbox:
            continue
        needing = {each.name: each for each in merge_parties(needing_parties(feature, selection))}
        for component in selection.components:
            if party := needing.get(component.name):
                yield from _check(component, feature, party)


def _check(
    component: ResolvedComponent, feature: CataloguedFeature, party: Party
) -> Iterator[Diagnostic]:
    services = [
        each for each in component.manifest.services if each.sandbox and component.holds(each.when)
    ]
    for setting in feature.feature.ended_by.sandbox:
        if services and not any(setting in each.relaxes for each in services):
            yield _tell(component, services, feature, setting, party)


def _tell(
    component: ResolvedComponent,
    services: list[Service],
    feature: CataloguedFeature,
    setting: str,
    party: Party,
) -> Diagnostic:
    units = [
        make_party(
            component,
            ("services", component.manifest.services.index(service), "unit"),
            f"the sandbox of `{service.unit}` has `{setting}`",
            service.when,
        )
        for service in services
    ]
    message = (
        f"`{component.name}` needs `{feature.name}`, which `{setting}` takes away from "
        f"{listed(service.unit for service in services)}"
    )
    hint = f"add `{setting}` to the `relaxes:` of the unit that needs it, with the reason"
    parties = explained(feature, merge_parties([party, *units]))
    return tell("feature-sandboxed", message, parties, hint)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Features that a component needs and that the sandboxes of its own units end."""

from collections.abc import Iterator

from gnoppix_build.catalog.service import Service
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.resolve.model import ResolvedComponent
from gnoppix_build.resolve.parties import Party, listed, make_party, merge_parties, tell
from gnoppix_build.resolve.selection import Selection


def check_sandboxes(selection: Selection) -> Iterator[Diagnostic]:
    """Find components with units of their own, none of which relaxes what a need asks for."""
    for component in selection.components:
        services = [
            each
            for each in component.manifest.services
            if each.sandbox and component.holds(each.when)
        ]
        for part in component.parts:
            for index, need in enumerate(part.contribution.needs):
                known = selection.catalog.features.get(need.name)
                for setting in known.feature.ended_by.sandbox if known else ():
                    if services and not any(setting in each.relaxes for each in services):
                        fact = f"`{component.name}` needs it: {need.because}"
                        path = (*part.path, "needs", index)
                        party = make_party(component, path, fact, part.when)
                        yield _tell(component, services, need.name, setting, party)


def _tell(
    component: ResolvedComponent, services: list[Service], feature: str, setting: str, party: Party
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
        f"`{component.name}` needs `{feature}`, which `{setting}` takes away from "
        f"{listed(service.unit for service in services)}"
    )
    hint = f"add `{setting}` to the `relaxes:` of the unit that needs it, with the reason"
    return tell("feature-sandboxed", message, merge_parties([party, *units]), hint)

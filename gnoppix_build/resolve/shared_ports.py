# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that a package takes without a word, and that a component's listener has."""

from collections.abc import Iterator
from dataclasses import replace

from gnoppix_build.catalog.features import CataloguedFeature, Dependents
from gnoppix_build.diagnostics import Diagnostic, Note
from gnoppix_build.language.node import Path, span_of
from gnoppix_build.resolve.features import bringers_of, tell_ended
from gnoppix_build.resolve.model import ResolvedComponent
from gnoppix_build.resolve.parties import Party, make_party, merge_parties, ways_out
from gnoppix_build.resolve.selection import Selection


def check_shared_ports(selection: Selection) -> Iterator[Diagnostic]:
    """Find listeners at ports which packages take that another side brings.

    What a component brings itself is what listens there for it; that two of them listen at one
    port is for `check_ports` to tell.
    """
    for feature in selection.catalog.features.values():
        sides = {
            each.name: merge_parties(_listening(feature, each)) for each in selection.components
        }
        takers = [
            (what, party)
            for what, party in bringers_of(feature.feature.ended_by.packages, selection)
            if not sides.get(party.name)
        ]
        for component in selection.components:
            listening = sides[component.name]
            own = {f"`{name}`" for each in component.contributions for name in each.packages}
            ending = merge_parties(party for what, party in takers if what not in own)
            if listening and ending:
                way_out = ways_out((ending, listening))
                yield tell_ended(feature, ending, listening, way_out)


def _listening(feature: CataloguedFeature, component: ResolvedComponent) -> Iterator[Party]:
    for number, dependents in enumerate(feature.feature.needed_by):
        reason = Note(
            f"`{component.name}` needs it: {dependents.because}",
            span_of(feature.node, ("needed-by", number, "because")),
        )
        for party in _at_ports(dependents, component):
            yield replace(party, facts=(*party.facts, reason))


def _at_ports(dependents: Dependents, component: ResolvedComponent) -> Iterator[Party]:
    for index, listener in enumerate(component.manifest.listens):
        if not component.holds(listener.when):
            continue
        for port in component.ports_of((listener.port,)):
            if port in dependents.listens:
                path: Path = ("listens", index, "port")
                fact = f"`{component.name}` listens at `{port}` here"
                yield make_party(component, path, fact, listener.when)

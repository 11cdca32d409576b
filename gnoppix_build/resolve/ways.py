# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways into the network through another component: each has to be there, none may be a circle."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gnoppix_build.catalog.network import EVERYONE, CarriedEgress, Namespace
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.resolve.model import ResolvedComponent
from gnoppix_build.resolve.parties import Party, listed, make_party, merge_parties, tell, ways_out
from gnoppix_build.resolve.selection import Selection


@dataclass(frozen=True, slots=True)
class _Way:
    """A user that sends through a component, and the side that says so."""

    user: str
    through: str
    namespace: Namespace
    party: Party


def components_beneath(components: Iterable[ResolvedComponent]) -> frozenset[str]:
    """Name the components that something in the namespace of the cards goes through."""
    known = tuple(components)
    wanted = {
        egress.through
        for component in known
        for egress in component.manifest.egress
        if isinstance(egress, CarriedEgress)
        and egress.namespace == "carrier"
        and component.holds(egress.when)
    }
    return frozenset(each.name for each in known if wanted & each.offers)


def namespace_of(
    component: ResolvedComponent, declared: Namespace, beneath: frozenset[str]
) -> Namespace:
    """Tell where a component's declaration holds: one of those beneath is among the cards whole."""
    return "carrier" if component.name in beneath else declared


def check_ways(selection: Selection) -> Iterator[Diagnostic]:
    """Find users sent through what is not there, out of reach or closed, or comes back to them."""
    leads: dict[str, list[tuple[str, Party]]] = {}
    beneath = components_beneath(selection.components)
    ways = list(_ways(selection, beneath))
    for way in ways:
        carriers = [each for each in selection.components if way.through in each.offers]
        found = [door for each in carriers for door in _doors(each, way.user, beneath)]
        doors = {user for user, _ in found}
        if not carriers:
            yield _tell_absent(way, selection)
        elif not doors:
            yield _tell_closed(way, carriers)
        elif way.namespace not in {namespace for _, namespace in found}:
            yield _tell_elsewhere(way, carriers, ways)
        leads.setdefault(way.user, []).extend((door, way.party) for door in sorted(doors))
    yield from _circles(leads)


def _ways(selection: Selection, beneath: frozenset[str]) -> Iterator[_Way]:
    for component in sorted(selection.components, key=lambda each: each.name):
        for index, egress in enumerate(component.manifest.egress):
            if isinstance(egress, CarriedEgress) and component.holds(egress.when):
                path = ("egress", index, "through")
                fact = f"`{component.name}` sends `{egress.user}` through `{egress.through}` here"
                party = make_party(component, path, fact, egress.when)
                namespace = namespace_of(component, egress.namespace, beneath)
                yield _Way(egress.user, egress.through, namespace, party)


def _doors(
    component: ResolvedComponent, user: str, beneath: frozenset[str]
) -> Iterator[tuple[str, Namespace]]:
    """Give the users of a component whose listeners let another user in, and where these are."""
    for listener in component.manifest.listens:
        if component.holds(listener.when) and {user, EVERYONE} & {*listener.open_to}:
            yield listener.user, namespace_of(component, listener.namespace, beneath)


def _tell_absent(way: _Way, selection: Selection) -> Diagnostic:
    able = [
        each.name
        for each in selection.catalog.components.values()
        if way.through in {each.name, *each.manifest.provides}
    ]
    choices = " or ".join(f"`{name}: {{}}`" for name in able)
    return tell(
        "way-absent",
        f"`{way.party.name}` sends `{way.user}` through `{way.through}`, which the profile does "
        "not have",
        (way.party,),
        f"add {choices} under `components:`" if able else ways_out([[way.party]]),
    )


def _tell_closed(way: _Way, carriers: list[ResolvedComponent]) -> Diagnostic:
    names = listed(each.name for each in carriers)
    message = f"`{way.party.name}` sends `{way.user}` through {names}, which lets it in nowhere"
    sides = [_asked_for(each) for each in carriers]
    return tell("way-closed", message, (way.party, *sides), ways_out([[way.party], sides]))


def _tell_elsewhere(way: _Way, carriers: list[ResolvedComponent], ways: list[_Way]) -> Diagnostic:
    """Tell of a carrier in another namespace, by what puts it there: a way that it has to carry."""
    names = listed(each.name for each in carriers)
    offers = {thing for each in carriers for thing in each.offers}
    movers = [
        each.party for each in ways if each.through in offers and each.namespace != way.namespace
    ]
    sides = movers or [_asked_for(each) for each in carriers]
    message = (
        f"`{way.party.name}` sends `{way.user}` through {names}, which is in another network "
        "namespace"
    )
    if movers:
        message += f", for {listed(each.name for each in movers)}"
    return tell("way-elsewhere", message, (way.party, *sides), ways_out([[way.party], sides]))


def _asked_for(component: ResolvedComponent) -> Party:
    return Party(component.name, component.place, f"`{component.name}` is asked for here")


def _circles(leads: dict[str, list[tuple[str, Party]]]) -> Iterator[Diagnostic]:
    """Tell of each circle once, from the first of its users on."""
    for start in sorted(leads):
        circle = _circle_from(start, leads)
        if circle and start == min(user for user, _ in circle):
            users = [user for user, _ in circle]
            parties = merge_parties(party for _, party in circle)
            message = f"the traffic of `{start}` would come back to it"
            if len(users) > 1:
                message += f", through {listed(users[1:])}"
            yield tell("way-circle", message, parties, ways_out([[each] for each in parties]))


def _circle_from(
    start: str, leads: dict[str, list[tuple[str, Party]]]
) -> list[tuple[str, Party]] | None:
    """Find the shortest way from a user back to itself: each user on it, and who sends it on."""
    paths: list[list[tuple[str, Party]]] = [[(start, party)] for _, party in leads[start]]
    ends = [door for door, _ in leads[start]]
    seen: set[str] = set()
    while paths:
        path, end = paths.pop(0), ends.pop(0)
        if end == start:
            return path
        if end not in seen:
            seen.add(end)
            for door, party in leads.get(end, ()):
                paths.append([*path, (end, party)])
                ends.append(door)
    return None

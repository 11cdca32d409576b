# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways into the network through another component: each has to be there, none may be a circle."""

from collections.abc import Iterator
from dataclasses import dataclass

from gnoppix_build.catalog.network import EVERYONE, CarriedEgress
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.resolve.model import ResolvedComponent
from gnoppix_build.resolve.parties import Party, listed, make_party, merge_parties, tell, ways_out
from gnoppix_build.resolve.selection import Selection


@dataclass(frozen=True, slots=True)
class _Way:
    """A user that sends through a component, and the side that says so."""

    user: str
    through: str
    party: Party


def check_ways(selection: Selection) -> Iterator[Diagnostic]:
    """Find users sent through what is not there, will not let them in, or comes back to them."""
    leads: dict[str, list[tuple[str, Party]]] = {}
    for way in _ways(selection):
        carriers = [each for each in selection.components if way.through in each.offers]
        doors = {user for each in carriers for user in _doors(each, way.user)}
        if not carriers:
            yield _tell_absent(way, selection)
        elif not doors:
            yield _tell_closed(way, carriers)
        leads.setdefault(way.user, []).extend((door, way.party) for door in sorted(doors))
    yield from _circles(leads)


def _ways(selection: Selection) -> Iterator[_Way]:
    for component in sorted(selection.components, key=lambda each: each.name):
        for index, egress in enumerate(component.manifest.egress):
            if isinstance(egress, CarriedEgress) and component.holds(egress.when):
                path = ("egress", index, "through")
                fact = f"`{component.name}` sends `{egress.user}` through `{egress.through}` here"
                party = make_party(component, path, fact, egress.when)
                yield _Way(egress.user, egress.through, party)


def _doors(component: ResolvedComponent, user: str) -> Iterator[str]:
    """Give the users of a component whose listeners let another user in."""
    for listener in component.manifest.listens:
        if component.holds(listener.when) and {user, EVERYONE} & {*listener.open_to}:
            yield listener.user


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
    sides = [Party(each.name, each.place, f"`{each.name}` is asked for here") for each in carriers]
    return tell("way-closed", message, (way.party, *sides), ways_out([[way.party], sides]))


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

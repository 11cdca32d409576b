# SPDX-License-Identifier: GPL-3.0-or-later
"""The sides of a conflict, and how one is told: first the line that its reader can change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gnoppix_build.diagnostics import Diagnostic, Note, Span
from gnoppix_build.language.node import Path, span_of
from gnoppix_build.resolve.model import ResolvedComponent


@dataclass(frozen=True, slots=True)
class Party:
    """One side: a component or a package, and the place in a profile that decides on it.

    `asked` says what stands at that place, `facts` are further places such as declarations, and
    `options` are the component's with another value of which the conflict may be gone.
    """

    name: str
    span: Span
    asked: str
    facts: tuple[Note, ...] = ()
    options: tuple[str, ...] = ()


def make_party(
    component: ResolvedComponent,
    path: Path,
    fact: str,
    when: Mapping[str, tuple[str, ...]],
) -> Party:
    """Make the side of a component that declares something at a path of its manifest.

    With a condition, the place is where a profile sets an option that it speaks of.
    """
    note = Note(fact, span_of(component.root, path))
    options = tuple(sorted(when))
    for option in options:
        if place := component.place_of(option):
            asked = f"`{component.name}` gets its `{option}` here"
            return Party(component.name, place, asked, (note,), options)
    asked = f"`{component.name}` is asked for here"
    return Party(component.name, component.place, asked, (note,), options)


def merge_parties(parties: Iterable[Party]) -> list[Party]:
    """Make one side of all that concern the same component or package; sorted by place."""
    merged: dict[str, Party] = {}
    for party in sorted(parties, key=lambda each: (each.span, each.name)):
        first = merged.get(party.name)
        if first is None:
            merged[party.name] = party
            continue
        facts = tuple(dict.fromkeys((*first.facts, *party.facts)))
        options = tuple(dict.fromkeys((*first.options, *party.options)))
        merged[party.name] = replace(first, facts=facts, options=options)
    return list(merged.values())


def tell(code: str, message: str, parties: Sequence[Party], hint: str | None) -> Diagnostic:
    """Tell a conflict of these sides at the place of the first, with every place of each."""
    first, *others = parties
    notes = list(first.facts)
    for party in others:
        if party.span != first.span:
            notes.append(Note(party.asked, party.span))
        notes += party.facts
    return Diagnostic(code, message, first.span, tuple(dict.fromkeys(notes)), hint)


def tell_values(code: str, thing: str, values: Iterable[Iterable[Party]]) -> Diagnostic:
    """Tell that a thing is to have several values; the sides are grouped by them."""
    parties = merge_parties(each for claims in values for each in claims)
    message = f"{named(parties)} want different values of {thing}"
    return tell(code, message, parties, ways_out([[each] for each in parties]))


def ways_out(sides: Sequence[Sequence[Party]]) -> str:
    """Tell what ends a conflict: everything that is said of one of the sides.

    Another value of an option is offered before the removal of a component or a package.
    """
    adjustable = [side for side in sides if any(each.options for each in side)]
    removable = [side for side in sides if side not in adjustable]
    ways = [_change(side) for side in adjustable]
    if removable:
        names = [listed(each.name for each in side) for side in removable]
        comma = "," if any(len(side) > 1 for side in removable) else ""
        ways.append(f"take out {f'{comma} or '.join(names)}")
    return ", or ".join(ways)


def _change(side: Sequence[Party]) -> str:
    """Tell how a side is changed that has options."""
    changes = [
        f"give `{each.name}` another {' or '.join(f'`{option}`' for option in each.options)}"
        for each in side
        if each.options
    ]
    rest = [each.name for each in side if not each.options]
    return " and ".join([*changes, *([f"take out {listed(rest)}"] if rest else [])])


def named(parties: Iterable[Party]) -> str:
    """Write the names of the sides as a sentence lists them."""
    return listed(each.name for each in parties)


def listed(names: Iterable[str]) -> str:
    """Write names as a sentence lists them."""
    *most, last = (f"`{name}`" for name in dict.fromkeys(names))
    return f"{', '.join(most)} and {last}" if most else last


def verb(parties: Sequence[Party], one: str, several: str) -> str:
    """Choose the form of a verb that fits the number of its subjects."""
    return one if len(parties) == 1 else several

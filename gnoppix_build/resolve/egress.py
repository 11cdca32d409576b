# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may send: who is kept to less by one declaration is given no more by another."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from gnoppix_build.catalog.network import (
    CarriedEgress,
    ConfinedEgress,
    DirectEgress,
    Egress,
    InnerEgress,
    LinkEgress,
    Namespace,
)
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.resolve.model import ResolvedComponent
from gnoppix_build.resolve.parties import (
    Party,
    make_party,
    merge_parties,
    named,
    tell,
    verb,
    ways_out,
)
from gnoppix_build.resolve.selection import Selection
from gnoppix_build.resolve.ways import components_beneath, namespace_of

_BOUNDS: Final = frozenset(("none", "loopback", "through"))
# What a user may be given beside a bound: its own talk over the loopback interface is within
# `loopback`, and a link is none of the network that another component stands before.
_WITHIN: Final = frozenset((("loopback", "itself"), ("through", "itself"), ("through", "link")))


@dataclass(frozen=True, slots=True)
class _Word:
    """What a component says of a user; without a namespace it holds in each."""

    form: str
    namespace: Namespace | None
    meaning: str
    party: Party


def check_egress(selection: Selection) -> Iterator[Diagnostic]:
    """Find users that are confined or carried by one declaration, and let out by another."""
    said: dict[str, list[_Word]] = defaultdict(list)
    beneath = components_beneath(selection.components)
    for component in selection.components:
        for index, egress in enumerate(component.manifest.egress):
            if component.sends(egress):
                said[egress.user].append(_read(component, index, egress, beneath))
    for user, words in said.items():
        at_odds = [each for each in words if any(_contradict(each, other) for other in words)]
        if at_odds:
            yield _tell(user, at_odds)


def _read(
    component: ResolvedComponent, index: int, egress: Egress, beneath: frozenset[str]
) -> _Word:
    namespace: Namespace | None = namespace_of(component, "system", beneath)
    form: str
    match egress:
        case ConfinedEgress():
            reach = {"none": "nothing", "loopback": "nothing beyond this machine"}[egress.reach]
            form, namespace, meaning = egress.reach, None, reach
        case CarriedEgress():
            form, meaning = "through", f"only what goes through `{egress.through}`"
            namespace = namespace_of(component, egress.namespace, beneath)
        case DirectEgress():
            form, meaning = "direct", f"{egress.protocol.upper()} to the network itself"
            namespace = namespace_of(component, egress.namespace, beneath)
        case LinkEgress():
            form, namespace, meaning = "link", None, f"`{egress.link}` to the links"
        case InnerEgress():
            form, meaning = "itself", "what is for itself"
        case _:
            assert_never(egress)
    fact = f"`{component.name}` lets `{egress.user}` send {meaning}"
    party = make_party(component, ("egress", index), fact, egress.when)
    return _Word(form, namespace, meaning, party)


def _contradict(one: _Word, other: _Word) -> bool:
    if one.form == other.form or not {one.form, other.form} & _BOUNDS:
        return False
    if {(one.form, other.form), (other.form, one.form)} & _WITHIN:
        return False
    return one.namespace == other.namespace or None in {one.namespace, other.namespace}


def _tell(user: str, words: list[_Word]) -> Diagnostic:
    parties = merge_parties(each.party for each in words)
    meanings = ", and ".join(sorted({each.meaning for each in words}))
    message = (
        f"{named(parties)} {verb(parties, 'contradicts itself', 'contradict each other')} on what "
        f"`{user}` may send: {meanings}"
    )
    (only, *others) = parties
    hint = ways_out([[each] for each in parties])
    if not others and not only.options:
        hint = f"keep one of them in the `egress:` of `{only.name}`"
    return tell("egress-contradicted", message, parties, hint)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Things of which there is one, and that two components claim: ports, users, numbers."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gnoppix_build.catalog.declaration import FromOption
from gnoppix_build.catalog.network import Listener
from gnoppix_build.diagnostics import Diagnostic, Note
from gnoppix_build.language.node import span_of
from gnoppix_build.resolve.model import ResolvedComponent
from gnoppix_build.resolve.parties import Party, make_party, merge_parties, named, tell, ways_out
from gnoppix_build.resolve.selection import Selection

_ANY_ADDRESS: Final = frozenset(("*", "0.0.0.0", "::"))  # noqa: S104 - compared, never bound


@dataclass(frozen=True, slots=True)
class _Holder:
    party: Party
    address: str


def check_ports(selection: Selection) -> Iterator[Diagnostic]:
    """Find listeners that want the same port of the same address."""
    wanted: dict[tuple[str, int], list[_Holder]] = defaultdict(list)
    for component in selection.components:
        for index, listener in enumerate(component.manifest.listens):
            if component.holds(listener.when):
                port, party = _claim_port(component, index, listener)
                (address,) = component.addresses_of((listener.address,))
                wanted[listener.protocol, port].append(_Holder(party, address))
    for (protocol, port), holders in wanted.items():
        taken = [each.party for each in holders if any(_meet(each, other) for other in holders)]
        if taken:
            yield tell_claims("port-taken", f"the {protocol} port `{port}`", taken)


def check_users(selection: Selection) -> Iterator[Diagnostic]:
    """Find user names and numbers that two components want."""
    wanted: dict[str, list[Party]] = defaultdict(list)
    for component in selection.components:
        for index, user in enumerate(component.manifest.users):
            if component.holds(user.when):
                for key, thing in (("uid", f"uid `{user.uid}`"), ("name", f"user `{user.name}`")):
                    fact = f"`{component.name}` takes it here"
                    path = ("users", index, key)
                    wanted[f"the {thing}"].append(make_party(component, path, fact, user.when))
    for thing, parties in wanted.items():
        if len(parties) > 1:
            yield tell_claims("uid-taken", thing, parties)


def tell_claims(code: str, thing: str, claims: list[Party]) -> Diagnostic:
    """Tell that a thing is claimed by several components, or several times by one."""
    parties = sorted(merge_parties(claims), key=lambda each: each.option is None)
    twice = "" if len(parties) > 1 else "twice "
    message = f"{thing} is wanted {twice}by {named(parties)}"
    return tell(code, message, parties, ways_out([[each] for each in parties]))


def _claim_port(component: ResolvedComponent, index: int, listener: Listener) -> tuple[int, Party]:
    name = component.name
    if not isinstance(listener.port, FromOption):
        fact = f"`{name}` always takes it"
        return listener.port, make_party(component, ("listens", index, "port"), fact, {})
    option = listener.port.option
    value = component.options[option]
    assert isinstance(value, int), "the manifest was checked: the option is a port"
    if place := component.place_of(option):
        return value, Party(name, place, f"`{name}` takes it here", (), option)
    default = span_of(component.root, ("options", option, "default"))
    note = Note(f"`{name}` takes it here (its default)", default)
    return value, Party(name, component.place, f"`{name}` is asked for here", (note,), option)


def _meet(one: _Holder, other: _Holder) -> bool:
    if one is other:
        return False
    return one.address == other.address or bool(_ANY_ADDRESS & {one.address, other.address})

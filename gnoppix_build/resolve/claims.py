# SPDX-License-Identifier: GPL-3.0-or-later
"""Things of which there is one, and that two components claim: ports, paths, users, numbers."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from gnoppix_build.catalog.declaration import FromOption
from gnoppix_build.catalog.manifest import Group, Manifest, User
from gnoppix_build.catalog.network import Listener
from gnoppix_build.catalog.references import Conditional
from gnoppix_build.diagnostics import Diagnostic, Note
from gnoppix_build.language.node import span_of
from gnoppix_build.resolve.model import ResolvedComponent
from gnoppix_build.resolve.parties import Party, make_party, merge_parties, named, tell, ways_out
from gnoppix_build.resolve.selection import Selection

_ANY_FAMILY: Final = {"0.0.0.0", "::"}  # noqa: S104 - compared, never bound
_ANY_ADDRESS: Final = frozenset(("*", "0.0.0.0", "::"))  # noqa: S104 - compared, never bound


T = TypeVar("T", bound=Conditional)


@dataclass(frozen=True, slots=True)
class _Holder:
    party: Party
    address: str
    namespace: str


def check_ports(selection: Selection) -> Iterator[Diagnostic]:
    """Find listeners that want the same port of the same address."""
    wanted: dict[tuple[str, int], list[_Holder]] = defaultdict(list)
    for component in selection.components:
        for index, listener in enumerate(component.manifest.listens):
            if component.holds(listener.when):
                (address,) = component.addresses_of((listener.address,))
                for port in component.ports_of((listener.port,)):
                    party = _claim_port(component, index, listener)
                    holder = _Holder(party, address, listener.namespace)
                    wanted[listener.protocol, port].append(holder)
    for (protocol, port), holders in wanted.items():
        taken = [each.party for each in holders if any(_meet(each, other) for other in holders)]
        if taken:
            yield tell_claims("port-taken", f"the {protocol} port `{port}`", taken)


def check_users(selection: Selection) -> Iterator[Diagnostic]:
    """Find user names and numbers that two components want."""
    yield from _tell_taken(
        "uid-taken",
        _claims(
            selection,
            "users",
            lambda manifest: manifest.users,
            lambda user: {"uid": f"the uid `{user.uid}`", "name": f"the user `{user.name}`"},
        ),
    )


def check_groups(selection: Selection) -> Iterator[Diagnostic]:
    """Find names and numbers of groups that two components want; every user has a group."""

    def of_group(group: Group) -> dict[str, str]:
        return {"gid": f"the gid `{group.gid}`", "name": f"the group `{group.name}`"}

    def of_user(user: User) -> dict[str, str]:
        return {"uid": f"the gid `{user.uid}`", "name": f"the group `{user.name}`"}

    groups = _claims(selection, "groups", lambda manifest: manifest.groups, of_group)
    users = _claims(selection, "users", lambda manifest: manifest.users, of_user)
    both = {thing: [*claims, *users.get(thing, ())] for thing, claims in groups.items()}
    yield from _tell_taken("gid-taken", both)


def check_sockets(selection: Selection) -> Iterator[Diagnostic]:
    """Find Unix sockets that want the same path."""
    yield from _tell_taken(
        "path-taken",
        _claims(
            selection,
            "sockets",
            lambda manifest: manifest.sockets,
            lambda socket: {"path": f"the path `{socket.path}`"},
        ),
    )


def check_redirects(selection: Selection) -> Iterator[Diagnostic]:
    """Find traffic that two components want to lead to themselves."""
    yield from _tell_taken(
        "traffic-taken",
        _claims(
            selection,
            "redirects",
            lambda manifest: manifest.redirects,
            lambda redirect: {"traffic": f"the {redirect.traffic} traffic of every user"},
        ),
    )


def check_services(selection: Selection) -> Iterator[Diagnostic]:
    """Find units whose sandbox two components describe."""
    yield from _tell_taken(
        "service-taken",
        _claims(
            selection,
            "services",
            lambda manifest: manifest.services,
            lambda service: {"unit": f"the sandbox of `{service.unit}`"},
        ),
    )


def check_tunnels(selection: Selection) -> Iterator[Diagnostic]:
    """Find interfaces that two components make."""
    wanted: dict[str, list[Party]] = defaultdict(list)
    for component in selection.components:
        for part in component.parts:
            for index, name in enumerate(part.contribution.tunnels):
                path = (*part.path, "tunnels", index)
                fact = f"`{component.name}` makes it here"
                party = make_party(component, path, fact, part.when)
                wanted[f"the interface `{name}`"].append(party)
    yield from _tell_taken("interface-taken", wanted)


def tell_claims(code: str, thing: str, claims: Iterable[Party]) -> Diagnostic:
    """Tell that a thing is claimed by several components, or several times by one."""
    parties = sorted(merge_parties(claims), key=lambda each: not each.options)
    twice = "" if len(parties) > 1 else "twice "
    message = f"{thing} is wanted {twice}by {named(parties)}"
    return tell(code, message, parties, ways_out([[each] for each in parties]))


def _claims(
    selection: Selection,
    key: str,
    read: Callable[[Manifest], Sequence[T]],
    things: Callable[[T], Mapping[str, str]],
) -> dict[str, list[Party]]:
    """Gather who wants what of the things in a list of the manifests.

    `things` names, by the key that it stands under, each thing that an item of the list claims.
    """
    wanted: dict[str, list[Party]] = defaultdict(list)
    for component in selection.components:
        for index, item in enumerate(read(component.manifest)):
            if component.holds(item.when):
                for field, thing in things(item).items():
                    fact = f"`{component.name}` takes it here"
                    party = make_party(component, (key, index, field), fact, item.when)
                    wanted[thing].append(party)
    return wanted


def _tell_taken(code: str, wanted: Mapping[str, Sequence[Party]]) -> Iterator[Diagnostic]:
    for thing, claims in wanted.items():
        if len(claims) > 1:
            yield tell_claims(code, thing, claims)


def _claim_port(component: ResolvedComponent, index: int, listener: Listener) -> Party:
    name = component.name
    if not isinstance(listener.port, FromOption):
        fact = f"`{name}` always takes it" if not listener.when else f"`{name}` takes it here"
        return make_party(component, ("listens", index, "port"), fact, listener.when)
    option = listener.port.option
    if place := component.place_of(option):
        return Party(name, place, f"`{name}` takes it here", (), (option,))
    default = span_of(component.root, ("options", option, "default"))
    note = Note(f"`{name}` takes it here (its default)", default)
    return Party(name, component.place, f"`{name}` is asked for here", (note,), (option,))


def _meet(one: _Holder, other: _Holder) -> bool:
    if one is other or one.namespace != other.namespace:
        return False
    if one.party.name == other.party.name and {one.address, other.address} == _ANY_FAMILY:
        return False
    return one.address == other.address or bool(_ANY_ADDRESS & {one.address, other.address})

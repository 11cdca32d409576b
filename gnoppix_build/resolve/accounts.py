# SPDX-License-Identifier: GPL-3.0-or-later
"""Users and groups that declarations name: a ruleset with an absent one does not load."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from gnoppix_build.catalog.debian_accounts import DEBIAN_USERS
from gnoppix_build.catalog.declaration import Condition
from gnoppix_build.catalog.manifest import Group, Manifest, User
from gnoppix_build.catalog.network import EVERYONE, KERNEL, Listener, UnixSocket
from gnoppix_build.catalog.references import Conditional
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.node import Path
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

# Words that a declaration may have in the place of a user.
_NO_USERS: Final = frozenset((EVERYONE, KERNEL))
# Source: group.master of base-passwd.
_DEBIAN_GROUPS: Final = frozenset(
    (
        "root daemon bin sys adm tty disk lp mail news uucp man proxy kmem dialout fax voice cdrom "
        "floppy tape sudo audio dip www-data backup operator list irc src shadow utmp video sasl "
        "plugdev staff games users nogroup"
    ).split()
)

Account = Literal["user", "group", "user or group"]
T = TypeVar("T", bound=Conditional)


@dataclass(frozen=True, slots=True)
class _Named:
    """An account that a manifest names at this path, on this condition."""

    kind: Account
    name: str
    path: Path
    when: Condition


def check_accounts(selection: Selection) -> Iterator[Diagnostic]:
    """Find users and groups that a declaration names and no component of the profile has."""
    present = _present_accounts(selection)
    missing: dict[tuple[Account, str], list[Party]] = defaultdict(list)
    for component in selection.components:
        for each in _named_accounts(component):
            if each.name not in present[each.kind]:
                fact = f"`{component.name}` names it here"
                party = make_party(component, each.path, fact, each.when)
                missing[each.kind, each.name].append(party)
    for (kind, name), claims in missing.items():
        parties = merge_parties(claims)
        message = (
            f"{named(parties)} {verb(parties, 'names', 'name')} the {kind} `{name}`, "
            "which nothing in the profile has"
        )
        yield tell("unknown-account", message, parties, _way_out(name, parties, selection))


def _present_accounts(selection: Selection) -> dict[Account, frozenset[str]]:
    users = {
        user.name
        for component in selection.components
        for user in component.manifest.users
        if component.holds(user.when)
    }
    groups = {
        group.name
        for component in selection.components
        for group in component.manifest.groups
        if component.holds(group.when)
    }
    every_user = frozenset(DEBIAN_USERS) | users
    every_group = _DEBIAN_GROUPS | users | groups
    return {"user": every_user, "group": every_group, "user or group": every_user | every_group}


def _named_accounts(component: ResolvedComponent) -> Iterator[_Named]:
    manifest = component.manifest
    for key, items in (
        ("listens", manifest.listens),
        ("sockets", manifest.sockets),
        ("egress", manifest.egress),
        ("services", manifest.services),
    ):
        for index, item in enumerate(items):
            if component.holds(item.when) and item.user not in _NO_USERS:
                yield _Named("user", item.user, (key, index, "user"), item.when)
    yield from _listed(component, "listens", "open-to", "user", manifest.listens, _open_to)
    yield from _listed(component, "sockets", "open-to", "user or group", manifest.sockets, _open_to)
    yield from _listed(component, "users", "groups", "group", manifest.users, _groups)
    for index, consent in enumerate(manifest.consents):
        if component.holds(consent.when):
            yield _Named("group", consent.group, ("consents", index, "group"), consent.when)


def _listed(
    component: ResolvedComponent,
    key: str,
    field: str,
    kind: Account,
    items: Sequence[T],
    read: Callable[[T], Sequence[str]],
) -> Iterator[_Named]:
    for index, item in enumerate(items):
        if component.holds(item.when):
            for place, name in enumerate(read(item)):
                if name not in _NO_USERS:
                    yield _Named(kind, name, (key, index, field, place), item.when)


def _open_to(opened: Listener | UnixSocket) -> Sequence[str]:
    return opened.open_to


def _groups(user: User) -> Sequence[str]:
    return user.groups


def _way_out(name: str, parties: list[Party], selection: Selection) -> str:
    """Tell who has the account: a component with other options, or one that is absent."""
    for component in selection.components:
        conditions = _conditions_of(name, component.manifest)
        if options := tuple(dict.fromkeys(option for each in conditions for option in each)):
            owner = Party(component.name, component.place, "", (), options)
            return ways_out([[owner], parties])
    absent = [
        each.name
        for each in selection.catalog.components.values()
        if _conditions_of(name, each.manifest)
    ]
    if absent:
        return f"add {' or '.join(f'`{each}: {{}}`' for each in absent)} under `components:`"
    return ways_out([parties])


def _conditions_of(name: str, manifest: Manifest) -> list[Condition]:
    """Give the conditions on which a component has the account."""
    accounts: tuple[User | Group, ...] = (*manifest.users, *manifest.groups)
    return [account.when for account in accounts if account.name == name]

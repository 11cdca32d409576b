# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the components declare to the network policy."""

from collections.abc import Iterable, Iterator
from typing import Final

from gnoppix_build.catalog.manifest import FromOption
from gnoppix_build.policy.model import (
    Admission,
    Policy,
    PolicyEgress,
    PolicyListener,
    PolicyRedirect,
    PolicyUser,
)
from gnoppix_build.resolve.model import Resolved, ResolvedComponent

ROOT: Final = PolicyUser("root", 0)


def compile_policy(resolved: Resolved) -> Policy:
    """Gather who listens where and who may send what; the order of components is irrelevant."""
    components = resolved.components
    users = tuple(sorted(each for component in components for each in _users_of(component)))
    listeners = tuple(sorted(each for component in components for each in _listeners_of(component)))
    return Policy(
        profile=resolved.name,
        users=users,
        listeners=listeners,
        egress=tuple(sorted(each for component in components for each in _egress_of(component))),
        redirects=tuple(
            sorted(each for component in components for each in _redirects_of(component))
        ),
        matrix=tuple(_admissions((ROOT, *users), listeners)),
    )


def _users_of(component: ResolvedComponent) -> Iterator[PolicyUser]:
    for user in component.manifest.users:
        if component.holds(user.when):
            yield PolicyUser(user.name, user.uid)


def _listeners_of(component: ResolvedComponent) -> Iterator[PolicyListener]:
    for listener in component.manifest.listens:
        if component.holds(listener.when):
            yield PolicyListener(
                component.name,
                listener.user,
                listener.protocol,
                listener.address,
                _port_of(listener.port, component),
                tuple(sorted(listener.open_to)),
            )


def _egress_of(component: ResolvedComponent) -> Iterator[PolicyEgress]:
    for egress in component.manifest.egress:
        if component.holds(egress.when):
            yield PolicyEgress(
                component.name,
                egress.user,
                egress.protocol,
                tuple(sorted(egress.ports)),
                egress.reply_port,
            )


def _redirects_of(component: ResolvedComponent) -> Iterator[PolicyRedirect]:
    for redirect in component.manifest.redirects:
        if component.holds(redirect.when):
            yield PolicyRedirect(
                component.name,
                redirect.traffic,
                _port_of(redirect.port, component),
                tuple(sorted(redirect.exempt)),
            )


def _port_of(source: int | FromOption, component: ResolvedComponent) -> int:
    if not isinstance(source, FromOption):
        return source
    value = component.options[source.option]
    assert isinstance(value, int), "the catalog lets only options of type port stand for a port"
    return value


def _admissions(
    users: Iterable[PolicyUser], listeners: tuple[PolicyListener, ...]
) -> Iterator[Admission]:
    for user in users:
        for each in listeners:
            is_admitted = each.is_open_to_everyone or user.name in each.open_to
            yield Admission(user.name, each.protocol, each.address, each.port, is_admitted)

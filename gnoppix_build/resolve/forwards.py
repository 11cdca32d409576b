# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets that a component leads others to: each has to be within reach of the one that leads."""

import re
from collections.abc import Iterator
from typing import Final

from gnoppix_build.catalog.manifest import Forward
from gnoppix_build.catalog.network import EVERYONE
from gnoppix_build.diagnostics import Diagnostic, Note
from gnoppix_build.language.node import span_of
from gnoppix_build.resolve.model import ResolvedComponent
from gnoppix_build.resolve.models import MODEL_PLACEHOLDER
from gnoppix_build.resolve.selection import Selection
from gnoppix_build.resolve.ways import components_beneath, namespace_of

_HOME: Final = "127.0.0.1"
_PORT_TARGET: Final = re.compile(rf"{re.escape(_HOME)}:([0-9]+)")
_PATH_TARGET: Final = re.compile(r"unix:(/.+)")
_AT_HOME: Final = frozenset((_HOME, "0.0.0.0"))  # noqa: S104 - compared, never bound


def check_forwards(selection: Selection) -> Iterator[Diagnostic]:
    """Find targets that nothing opens to the user that would lead to them."""
    beneath = components_beneath(selection.components)
    for component in selection.components:
        for index, forward in enumerate(component.manifest.forwards):
            if component.holds(forward.when):
                ports = {*_open_ports(selection, component, forward.user, beneath)}
                for target in _targets(component, forward.option):
                    if (port := _PORT_TARGET.fullmatch(target)) and int(port[1]) not in ports:
                        yield _tell_closed(component, forward, index, target)
                    if path := _PATH_TARGET.fullmatch(target):
                        yield from _check_path(selection, component, forward, path[1])


def _targets(component: ResolvedComponent, option: str) -> Iterator[str]:
    value = component.options[option]
    texts = value if isinstance(value, tuple) else (value,)
    yield from dict.fromkeys(word for text in texts for word in str(text).split())


def _open_ports(
    selection: Selection, component: ResolvedComponent, user: str, beneath: frozenset[str]
) -> Iterator[int]:
    """Give the TCP ports of this machine at which others let the user in, where it lives."""
    namespace = namespace_of(component, "system", beneath)
    for other in selection.components:
        for each in other.manifest.listens:
            lives = namespace_of(other, each.namespace, beneath)
            (address,) = other.addresses_of((each.address,))
            if (
                other.holds(each.when)
                and each.protocol == "tcp"
                and each.user != user
                and lives == namespace
                and address in _AT_HOME
                and {user, EVERYONE} & {*each.open_to}
            ):
                yield from other.ports_of((each.port,))


def _check_path(
    selection: Selection, component: ResolvedComponent, forward: Forward, path: str
) -> Iterator[Diagnostic]:
    for other in selection.components:
        for index, socket in enumerate(other.manifest.sockets):
            known = re.escape(socket.path).replace(re.escape(MODEL_PLACEHOLDER), "[^/]+")
            if other.holds(socket.when) and re.fullmatch(known, path):
                place = span_of(other.root, ("sockets", index))
                yield Diagnostic(
                    "target-hidden",
                    f"`{forward.option}` of `{component.name}` leads to the socket `{path}`, which "
                    f"is hidden from `{forward.user}`",
                    component.place_of(forward.option) or component.place,
                    (Note(f"`{other.name}` has this socket, for its own clients", place),),
                    "lead to a socket that no component declares, or to a port",
                )


def _tell_closed(
    component: ResolvedComponent, forward: Forward, index: int, target: str
) -> Diagnostic:
    who = Note(f"`{forward.user}` leads to it", span_of(component.root, ("forwards", index)))
    return Diagnostic(
        "target-closed",
        f"`{forward.option}` of `{component.name}` leads to `{target}`, which nothing in the "
        f"profile opens to `{forward.user}`",
        component.place_of(forward.option) or component.place,
        (who,),
        "declare what listens there in a component of your own, or lead to `unix:/PATH`",
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether whoever is about to put a policy into force still gets in afterwards."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from gnoppix_build.catalog.load import Catalog
from gnoppix_build.diagnostics import Diagnostic, Note, Span
from gnoppix_build.policy.model import Policy, PolicyListener
from gnoppix_build.resolve.model import Resolved, ResolvedComponent

PACKET_FILTER: Final = "packet-filter"
"""What a component provides that puts the policy into force."""
_WAY_IN: Final = "way-in"


@dataclass(frozen=True, slots=True)
class Session:
    """The connection that somebody came by: the port of the machine, and from which address."""

    port: int
    client: str


def check_way_in(
    resolved: Resolved, policy: Policy, session: Session, catalog: Catalog
) -> Diagnostic | None:
    """Find that a policy would shut out the session that brings it."""
    filters = [each for each in resolved.components if PACKET_FILTER in each.manifest.provides]
    if not filters or ip_address(session.client).is_loopback:
        return None
    open_ports = [each for each in policy.listeners if _is_open_to_others(each, policy)]
    if any(_admits(each, session) for each in open_ports):
        return None
    said = f"port `{session.port}`, by which this session came from `{session.client}`"
    at_port = [each for each in open_ports if each.port == session.port]
    nearest = at_port or open_ports
    component = _find(resolved, nearest[0].component) if nearest else filters[0]
    option = "sources" if at_port else "port"
    place = component.place_of(option) if option in component.options else None
    return Diagnostic(
        "way-in-closed",
        f"`{resolved.name}` does not admit {said}: it would shut you out",
        place or component.place,
        tuple(_notes(filters, component.place)),
        _hint(session, component.name if nearest else "", option, catalog),
    )


def _is_open_to_others(listener: PolicyListener, policy: Policy) -> bool:
    is_near = listener.namespace == policy.card_namespace
    return listener.protocol == "tcp" and is_near and not listener.is_loopback


def _admits(listener: PolicyListener, session: Session) -> bool:
    client = ip_address(session.client)
    return (
        listener.port == session.port
        and ip_address(listener.address).version == client.version
        and (not listener.sources or any(client in ip_network(each) for each in listener.sources))
    )


def _find(resolved: Resolved, name: str) -> ResolvedComponent:
    return next(each for each in resolved.components if each.name == name)


def _notes(filters: Iterable[ResolvedComponent], told: Span) -> Iterable[Note]:
    for each in filters:
        if each.place != told:
            yield Note(f"`{each.name}` refuses whatever no component declares", each.place)


def _hint(session: Session, nearest: str, option: str, catalog: Catalog) -> str:
    if nearest:
        value = session.client if option == "sources" else session.port
        return f"let `{option}` of `{nearest}` have `{value}`"
    ways = [name for name, each in catalog.components.items() if _WAY_IN in each.manifest.provides]
    choices = " or ".join(f"`{name}: {{port: {session.port}}}`" for name in ways)
    return f"add {choices} under `components:`"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether whoever is about to put a policy into force still gets in afterwards."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from gnoppix_build.catalog.load import Catalog
from gnoppix_build.catalog.manifest import Manifest
from gnoppix_build.diagnostics import Diagnostic, Note, Span
from gnoppix_build.policy.model import Policy, PolicyListener
from gnoppix_build.resolve.model import Resolved, ResolvedComponent

PACKET_FILTER: Final = "packet-filter"
"""What a component provides that puts the policy into force."""
_WAY_IN: Final = "way-in"
_IPV6: Final = 6


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
    if not filters or any(_admits(each, session, policy) for each in policy.listeners):
        return None
    ways = {each.name: each for each in resolved.components if _is_way_in(each.manifest)}
    open_ports = [each for each in policy.listeners if _is_open_to_others(each, policy)]
    of_ways = [each for each in open_ports if each.component in ways]
    at_port = [each for each in of_ways if each.port == session.port]
    nearest = ways[(at_port or of_ways)[0].component] if of_ways else None
    mends = () if nearest is None else tuple(_mends(nearest, at_port, session))
    told = nearest or filters[0]
    place = told.place_of(mends[0].option) if mends else None
    said = f"port `{session.port}`, by which this session came from `{session.client}`"
    return Diagnostic(
        "way-in-closed",
        f"`{resolved.name}` does not admit {said}: it would shut you out",
        place or told.place,
        tuple(_notes(filters, told.place)),
        _hint(session, nearest, mends, catalog),
    )


def _is_way_in(manifest: Manifest) -> bool:
    return _WAY_IN in manifest.provides


def _is_open_to_others(listener: PolicyListener, policy: Policy) -> bool:
    is_near = listener.namespace == policy.card_namespace
    return listener.protocol == "tcp" and is_near and not listener.is_loopback


def _admits(listener: PolicyListener, session: Session, policy: Policy) -> bool:
    """Tell whether a listener takes a session; of a local one it is not known whose it is."""
    client = ip_address(session.client)
    is_at = listener.protocol == "tcp" and listener.port == session.port
    if not is_at or ip_address(listener.address).version != client.version:
        return False
    if client.is_loopback:
        return bool(listener.open_to)
    return _is_open_to_others(listener, policy) and _has_source(listener, client)


def _has_source(listener: PolicyListener, client: IPv4Address | IPv6Address) -> bool:
    return not listener.sources or any(client in ip_network(each) for each in listener.sources)


def _notes(filters: Iterable[ResolvedComponent], told: Span) -> Iterable[Note]:
    for each in filters:
        if each.place != told:
            yield Note(f"`{each.name}` refuses whatever no component declares", each.place)


@dataclass(frozen=True, slots=True)
class _Mend:
    """What an option of the way in has to be, or to have."""

    option: str
    change: str


def _mends(
    component: ResolvedComponent, at_port: Sequence[PolicyListener], session: Session
) -> Iterable[_Mend]:
    """Find what the options of a way in lack to admit the session."""
    client = ip_address(session.client)
    families = {ip_address(each.address).version for each in at_port}
    lacks_family = bool(at_port) and client.version not in families
    lacking = (
        ("port", not at_port, f"have `{session.port}`"),
        ("ipv6", lacks_family and client.version == _IPV6, "be `on`"),
        (
            "sources",
            not client.is_loopback and any(not _has_source(each, client) for each in at_port),
            f"have `{session.client}`",
        ),
    )
    for option, is_lacking, change in lacking:
        if is_lacking and option in component.options:
            yield _Mend(option, change)


def _hint(
    session: Session,
    nearest: ResolvedComponent | None,
    mends: Sequence[_Mend],
    catalog: Catalog,
) -> str:
    if nearest is None:
        names = [name for name, each in catalog.components.items() if _is_way_in(each.manifest)]
        choices = " or ".join(f"`{name}: {{port: {session.port}}}`" for name in names)
        return f"add {choices} under `components:`"
    if not mends and ip_address(session.client).is_loopback:
        return f"come from another machine: no program of this one gets to `{nearest.name}`"
    if not mends:
        return f"come by what `{nearest.name}` admits"
    first, *others = mends
    further = "".join(f" and `{each.option}` of it {each.change}" for each in others)
    return f"let `{first.option}` of `{nearest.name}` {first.change}{further}"

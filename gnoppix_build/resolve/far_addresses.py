# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that users send to: each is some other host's, in a family that the way carries."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from gnoppix_build.catalog.declaration import FromOption
from gnoppix_build.catalog.network import DirectEgress, LinkEgress, Namespace
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.resolve.model import ResolvedComponent, read_endpoint
from gnoppix_build.resolve.moved_cards import CARRIER
from gnoppix_build.resolve.parties import Party, make_party, merge_parties, tell, ways_out
from gnoppix_build.resolve.selection import Selection
from gnoppix_build.resolve.ways import components_beneath, namespace_of

_IPV6: Final = 6
_NOBODY: Final = "255.255.255.255"

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class _Aim:
    """An address, where the packets to it leave, and the side that sends them."""

    address: Address
    namespace: Namespace
    party: Party


def check_far_addresses(selection: Selection) -> Iterator[Diagnostic]:
    """Find addresses that are no other host's, and those of IPv6 where nothing carries it."""
    offers = {thing for each in selection.components for thing in each.offers}
    cards: Namespace = "carrier" if CARRIER in offers else "system"
    links = {link for component in selection.components for link in _links(component)}
    yield from _unreadable(selection)
    for aim in _aims(selection):
        if _is_no_other_hosts(aim.address):
            message = f"`{aim.address}` is the address of no other host"
            hint = "write the address of the host that is meant"
            yield tell("no-hosts-address", message, (aim.party,), hint)
        elif (
            links
            and aim.address.version == _IPV6
            and not ("nd" in links and aim.namespace == cards)
        ):
            yield _tell_uncarried(aim, selection, cards)


def _links(component: ResolvedComponent) -> Iterator[str]:
    for each in component.manifest.egress:
        if isinstance(each, LinkEgress) and component.holds(each.when):
            yield each.link


def _aims(selection: Selection) -> Iterator[_Aim]:
    beneath = components_beneath(selection.components)
    for component, index, egress in _direct(selection):
        namespace = namespace_of(component, egress.namespace, beneath)
        for source in egress.addresses:
            party = _party(component, index, egress.user, source)
            for address in component.addresses_of((source,)):
                yield _Aim(ip_address(address), namespace, party)
        if egress.endpoints is not None:
            party = _party(component, index, egress.user, egress.endpoints)
            for address, _ in component.endpoints_of(egress.endpoints):
                yield _Aim(ip_address(address), namespace, party)


def _unreadable(selection: Selection) -> Iterator[Diagnostic]:
    """Find texts that should have an address and a port, and have none."""
    for component, index, egress in _direct(selection):
        if egress.endpoints is None:
            continue
        party = _party(component, index, egress.user, egress.endpoints)
        value = component.options[egress.endpoints.option]
        for text in map(str, value if isinstance(value, tuple) else ()):
            if read_endpoint(text) is None:
                message = f"`{text}` has no address with a port as its second word"
                hint = "write it as in `192.0.2.1:443` or `[2001:db8::1]:443`"
                yield tell("not-an-endpoint", message, (party,), hint)


def _direct(selection: Selection) -> Iterator[tuple[ResolvedComponent, int, DirectEgress]]:
    """Give what components send to the network themselves, each with its place among the egress."""
    for component in selection.components:
        for index, egress in enumerate(component.manifest.egress):
            if isinstance(egress, DirectEgress) and component.holds(egress.when):
                yield component, index, egress


def _party(component: ResolvedComponent, index: int, user: str, source: str | FromOption) -> Party:
    fact = f"`{component.name}` has `{user}` send to it"
    when = {source.option: ()} if isinstance(source, FromOption) else {}
    return make_party(component, ("egress", index), fact, when)


def _is_no_other_hosts(address: Address) -> bool:
    return (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or str(address) == _NOBODY
    )


def _tell_uncarried(aim: _Aim, selection: Selection, cards: Namespace) -> Diagnostic:
    """Tell of a family that is not carried, and of the options with which cards would carry it."""
    able = [
        make_party(component, ("egress", index), "with this the cards carry IPv6", egress.when)
        for component in selection.components
        for index, egress in enumerate(component.manifest.egress)
        if isinstance(egress, LinkEgress) and egress.link == "nd"
    ]
    sides = merge_parties(able) if aim.namespace == cards else []
    way = "the network cards carry" if aim.namespace == cards else "a tunnel carries"
    return tell(
        "family-not-carried",
        f"nothing is sent to `{aim.address}`, for {way} no IPv6",
        (aim.party, *sides),
        ways_out([[aim.party], *([sides] if sides else [])]),
    )

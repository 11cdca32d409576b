# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component declares of the network, in sentences."""

from typing import assert_never

from gnoppix_build.catalog.manifest import Manifest
from gnoppix_build.catalog.network import (
    CarriedEgress,
    ConfinedEgress,
    Consent,
    DirectEgress,
    Egress,
    InnerEgress,
    LinkEgress,
    Listener,
    Namespace,
    Redirect,
    UnixSocket,
)
from gnoppix_build.report.words import code, condition, listing, source


def listener_line(listener: Listener, manifest: Manifest) -> str:
    """Tell where a user listens, and who may connect."""
    address = source(listener.address, manifest)
    place = f"{listener.protocol} {address} port {source(listener.port, manifest)}"
    openness = f"open to {listing(listener.open_to)}" if listener.open_to else "by redirect only"
    if listener.sources:
        openness += f", from {listing(source(each, manifest) for each in listener.sources)}"
    space = _space(listener.namespace)
    return f"{place}, user {listener.user}, {openness}{space}{condition(listener.when)}"


def socket_line(socket: UnixSocket) -> str:
    """Tell of a socket in the file system, and who may connect."""
    openness = f"open to {listing(socket.open_to)}" if socket.open_to else "open to nobody else"
    return f"{socket.path}, user {socket.user}, {openness}{condition(socket.when)}"


def redirect_line(redirect: Redirect, manifest: Manifest) -> str:
    """Tell what is led to which port."""
    port = source(redirect.port, manifest)
    return f"{redirect.traffic} to port {port}{condition(redirect.when)}"


def consent_line(consent: Consent) -> str:
    """Tell what stays closed until somebody agrees, and who may do that."""
    closed = "its sockets are" if consent.opens == "listeners" else "every network card is"
    command = code(" ".join(consent.command))
    return (
        f"{closed} closed until somebody in the group {consent.group} runs {command}"
        f"{condition(consent.when)}"
    )


def egress_line(egress: Egress, manifest: Manifest) -> str:
    """Tell what a user may send."""
    spared = ""
    match egress:
        case ConfinedEgress(reach="none"):
            reach = "sends nothing, not even on this machine"
        case ConfinedEgress():
            reach = "sends nothing beyond this machine"
        case CarriedEgress():
            reach = f"reaches the network through {egress.through} only{_space(egress.namespace)}"
        case LinkEgress():
            reach = f"sends {egress.link} on the link"
        case InnerEgress():
            reach = "talks to itself on this machine, at ports that the kernel chooses"
        case DirectEgress():
            reach = _direct(egress, manifest)
            spared = "".join(f"; spares {each.name} ({each.because})" for each in egress.spares)
        case _:
            assert_never(egress)
    return f"{egress.user} {reach}{condition(egress.when)}{spared}"


def _direct(egress: DirectEgress, manifest: Manifest) -> str:
    if egress.endpoints is not None:
        places = f"the addresses and ports in {code(egress.endpoints.option)}"
        return f"sends {egress.protocol} to {places}{_space(egress.namespace)}"
    addresses = listing(source(each, manifest) for each in egress.addresses) or "any address"
    if "addresses" in egress.any_if_empty:
        addresses += " (any if there are none)"
    ports = listing(source(each, manifest) for each in egress.ports)
    if "ports" in egress.any_if_empty:
        ports += " (any if there are none)"
    to = f"{addresses}, {f'ports {ports}' if ports else 'any port'}"
    return f"sends {egress.protocol} to {to}{_space(egress.namespace)}"


def _space(namespace: Namespace) -> str:
    return "" if namespace == "system" else f", in the namespace {namespace}"

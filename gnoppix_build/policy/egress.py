# SPDX-License-Identifier: GPL-3.0-or-later
"""The egress chain of one interface: what the frames on it may be, raw ones included.

Packet sockets bypass the `inet` table; the egress hook sees what they send. A frame passes if it
is one that the `inet` table admits, by the same match of its user, or what the kernel itself needs
on a link. Source: nft(8), "netdev" family, hook `egress`; packet(7).
"""

from collections.abc import Iterator
from typing import Final

from gnoppix_build.policy.matches import (
    OF_SOME_SOCKET,
    answer_of,
    claims_of_the_kernel,
    far_addresses,
    far_ends,
    far_ports,
    of_others,
    rule,
    sent_on_link,
    unique,
    user_of,
)
from gnoppix_build.policy.model import Namespace, Policy

INTERFACE: Final = "@interface@"
"""Stands for the interface's name: each has a table of its own, loaded when it appears."""

_TABLE: Final = f"table netdev gnoppix-{INTERFACE}"
_HOOK: Final = f'type filter hook egress device "{INTERFACE}" priority filter; policy drop;'


def format_egress_chain(policy: Policy, namespace: Namespace = "system") -> str:
    """Write the table of one interface of a namespace; loading it is atomic."""
    rules = (f"\t\t{each}" for each in _rules(policy.within(namespace)))
    lines = (
        *(_TABLE, f"delete {_TABLE}", "", f"{_TABLE} {{"),
        *("\tchain egress {", f"\t\t{_HOOK}", *rules, "\t}", "}", ""),
    )
    return "\n".join(lines)


def _rules(policy: Policy) -> Iterator[str]:
    if any(flow.link == "arp" for flow in policy.links):
        yield f"meta protocol arp {OF_SOME_SOCKET} drop"
        yield "meta protocol arp accept"
    for claim in claims_of_the_kernel(policy):
        yield rule(claim, "drop")
    for other in unique(of_others(each) for each in policy.listeners if not each.is_loopback):
        yield rule(other, "drop")
    for match in unique(_sent(policy)):
        yield rule(match, "accept")


def _sent(policy: Policy) -> Iterator[str]:
    """Match what the `inet` table lets out to the network."""
    yield from (sent_on_link(flow) for flow in policy.links)
    for each in policy.listeners:
        if not each.is_loopback:
            yield from (rule(answer_of(each), far) for far in far_ends(each, "daddr"))
    for flow in policy.direct:
        for address in far_addresses(flow, "daddr", has_ipv6=policy.has_ipv6):
            user = user_of(flow.user, policy.bound_users)
            yield rule(address, user, far_ports(flow, "dport"))

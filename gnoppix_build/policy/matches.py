# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of nftables rules that the tables of the policy have in common. Source: nft(8)."""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address, ip_network
from typing import Final, Literal

from gnoppix_build.policy.model import (
    EVERYONE,
    KERNEL,
    DirectFlow,
    LinkFlow,
    Policy,
    PolicyListener,
)

KERNEL_MARK: Final = "0x0000676e"
"""The mark of packets of the kernel's own sockets, such as WireGuard's (`FwMark=`, wg(8))."""

OF_SOME_SOCKET: Final = "meta skuid 0-4294967294"
"""Matches what a program's socket sends; the kernel's own sockets belong to no user."""

_IPV4: Final = "meta protocol ip"
_IPV6: Final = "meta protocol ip6"
# Source: RFC 4861, section 4; RFC 2131, section 4.1.
_ND_SENT: Final = "icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }"
_ND_TAKEN: Final = "icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }"
_DHCP4_SENT: Final = "udp sport 68 udp dport 67"
_DHCP4_TAKEN: Final = "udp sport 67 udp dport 68"

Direction = Literal["saddr", "daddr"]


def rule(*parts: str) -> str:
    """Join the parts of a rule that say something."""
    return " ".join(part for part in parts if part)


def set_of(elements: Iterable[str]) -> str:
    """Write one value as it is and several as a set."""
    known = list(elements)
    return known[0] if len(known) == 1 else f"{{ {', '.join(known)} }}"


def quoted(name: str) -> str:
    """Write a user's name."""
    return f'"{name}"'


def user_of(name: str, bound: Iterable[str]) -> str:
    """Match the sender: one user, the kernel, or everyone who is not bound to something less."""
    if name == KERNEL:
        return f"meta mark {KERNEL_MARK}"
    if name == EVERYONE:
        restricted = sorted(bound)
        return f"meta skuid != {set_of(map(quoted, restricted))}" if restricted else OF_SOME_SOCKET
    return f"meta skuid {quoted(name)}"


def at_address(address: str, direction: Direction) -> str:
    """Match a listener's address; one that is unspecified is any of its family."""
    known = ip_address(address)
    if known.is_unspecified:
        return _IPV4 if known.version == 4 else _IPV6  # noqa: PLR2004 - IPv4
    return f"{_family(known.version)} {direction} {known}"


def by_tunnel(policy: Policy, way: Literal["iifname", "oifname"]) -> str:
    """Match the tunnels, if there are any: what is sent directly then leaves by them alone."""
    return f"{way} {set_of(map(quoted, policy.tunnels))}" if policy.tunnels else ""


def far_addresses(flow: DirectFlow, direction: Direction, *, has_ipv6: bool) -> Iterator[str]:
    """Match the addresses of a flow, once for each family that it may use."""
    if not flow.addresses:
        yield _IPV4
        if has_ipv6:
            yield _IPV6
        return
    for version in (4, 6):
        known = [each for each in flow.addresses if ip_address(each).version == version]
        if known and (version == 4 or has_ipv6):  # noqa: PLR2004 - IPv4
            yield f"{_family(version)} {direction} {set_of(known)}"


def far_ports(flow: DirectFlow, direction: Literal["sport", "dport"]) -> str:
    """Match the ports of a flow, or just its protocol."""
    if not flow.ports:
        return f"meta l4proto {flow.protocol}"
    return f"{flow.protocol} {direction} {set_of(str(port) for port in flow.ports)}"


def sent_on_link(flow: LinkFlow) -> str:
    """Match what a link flow sends as IP packets; address resolution of IPv4 is none."""
    match flow.link:
        case "dhcp4":
            return rule(_IPV4, f"meta skuid {quoted(flow.user)}", _DHCP4_SENT)
        case "nd":
            return _ND_SENT
        case "arp":
            return ""


def taken_on_link(flow: LinkFlow) -> str:
    """Match what a link flow takes in as IP packets."""
    match flow.link:
        case "dhcp4":
            return rule(_IPV4, _DHCP4_TAKEN)
        case "nd":
            return rule("ip6 hoplimit 255", _ND_TAKEN)
        case "arp":
            return ""


def from_port(listener: PolicyListener) -> str:
    """Match what comes from a listener's port."""
    return f"{listener.protocol} sport {listener.port}"


def answer_of(listener: PolicyListener) -> str:
    """Match what goes out from a listener, whoever sent it: see `of_others`."""
    return rule(at_address(listener.address, "saddr"), from_port(listener))


def of_others(listener: PolicyListener) -> str:
    """Match what a user other than a listener's own sends from it.

    The kernel acknowledges what comes in before the connection is accepted, or after its process
    has closed it; such packets have no user, and match neither this nor the listener's user.
    """
    return rule(answer_of(listener), f"meta skuid != {quoted(listener.user)}")


def reply_of(listener: PolicyListener) -> str:
    """Match what a listener's own user sends from it."""
    source = at_address(listener.address, "saddr")
    return rule(source, from_port(listener), f"meta skuid {quoted(listener.user)}")


def far_ends(listener: PolicyListener, direction: Direction) -> Iterator[str]:
    """Match who may connect from elsewhere; nothing if all of them are of another family."""
    version = ip_address(listener.address).version
    known = [each for each in listener.sources if ip_network(each).version == version]
    if not listener.sources:
        yield ""
    elif known:
        yield f"{_family(version)} {direction} {set_of(known)}"


def claims_of_the_kernel(policy: Policy) -> Iterator[str]:
    """Match what only the kernel may send, for a rule that refuses it to every program."""
    if any(flow.user == KERNEL for flow in policy.direct):
        yield f"meta mark {KERNEL_MARK} {OF_SOME_SOCKET}"
    if policy.has_ipv6:
        yield from _neighbour_discovery_of_others(policy)


def _neighbour_discovery_of_others(policy: Policy) -> Iterator[str]:
    """Match ICMPv6 of programs, but for those that ask for routers in the kernel's place."""
    asking = sorted({flow.user for flow in policy.links if flow.link == "nd"} - {KERNEL})
    if not asking:
        yield f"meta l4proto icmpv6 {OF_SOME_SOCKET}"
        return
    users = set_of(map(quoted, asking))
    yield f"meta l4proto icmpv6 {OF_SOME_SOCKET} meta skuid != {users}"
    yield f"icmpv6 type != nd-router-solicit meta skuid {users}"


def unique(rules: Iterable[str]) -> Sequence[str]:
    """Leave out empty rules and repetitions."""
    return tuple(dict.fromkeys(each for each in rules if each))


def _family(version: int) -> str:
    return "ip" if version == 4 else "ip6"  # noqa: PLR2004 - IPv4

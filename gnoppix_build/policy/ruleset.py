# SPDX-License-Identifier: GPL-3.0-or-later
"""The network policy as nftables text: what one network namespace sends and takes in.

Every accept names a user, or the direction and port of an answer; a blanket accept of established
connections would let those go on that began under another ruleset. Source: nft(8).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gnoppix_build.policy.matches import (
    answer_of,
    at_address,
    by_tunnel,
    claims_of_the_kernel,
    far_addresses,
    far_ends,
    far_ports,
    from_port,
    of_others,
    quoted,
    reply_of,
    rule,
    sent_on_link,
    set_of,
    taken_on_link,
    unique,
    user_of,
)
from gnoppix_build.policy.model import (
    EVERYONE,
    Admission,
    DirectFlow,
    Namespace,
    Policy,
    PolicyListener,
    PolicyRedirect,
)

TABLE: Final = "inet gnoppix"
_RESOLVER: Final = "127.0.0.1"
_LOOPBACK: Final = "127.0.0.1"
# Source: ip-sysctl of the kernel's documentation, `ip_local_port_range`.
_CHOSEN_PORTS: Final = "32768-60999"
_FIRST_INNER_MARK: Final = 0x676E0000
_REPLACEMENT: Final = (f"table {TABLE}", f"delete table {TABLE}", "", f"table {TABLE} {{")
_OWN_REFUSALS: Final = "ct state related accept"


def format_ruleset(policy: Policy, namespace: Namespace = "system") -> str:
    """Write the ruleset that admits the policy and nothing else; loading it is atomic."""
    part = policy.within(namespace)
    chains = [
        _chain("lead", "nat", "output", "-100", "accept", _redirecting(part)),
        _chain("input", "filter", "input", "filter", "drop", _incoming(part)),
        _chain("forward", "filter", "forward", "filter", "drop", ()),
        _chain("output", "filter", "output", "filter", "drop", _outgoing(part)),
        _plain_chain("loopback_input", _arriving_on_loopback(part)),
        _plain_chain("loopback_output", _leaving_on_loopback(part)),
        _plain_chain("refuse", ("meta l4proto tcp reject with tcp reset", "reject")),
    ]
    return _table(chains if part.redirects else chains[1:])


def format_closed_ruleset() -> str:
    """Write the ruleset under which nothing leaves this machine and nothing comes in."""
    return _table(
        [
            _chain("input", "filter", "input", "filter", "drop", ('iifname "lo" accept',)),
            _chain("forward", "filter", "forward", "filter", "drop", ()),
            _chain("output", "filter", "output", "filter", "drop", ('oifname "lo" accept',)),
        ]
    )


def _table(chains: Sequence[Sequence[str]]) -> str:
    lines = list(_REPLACEMENT)
    for number, chain in enumerate(chains):
        lines += ([""] if number else []) + [f"\t{line}" if line else "" for line in chain]
    return "\n".join([*lines, "}", ""])


def _chain(
    name: str, kind: str, hook: str, priority: str, policy: str, rules: Iterable[str]
) -> list[str]:
    head = f"type {kind} hook {hook} priority {priority}; policy {policy};"
    return _plain_chain(name, (head, *rules))


def _plain_chain(name: str, rules: Iterable[str]) -> list[str]:
    return [f"chain {name} {{", *(f"\t{rule}" for rule in rules), "}"]


def _redirecting(policy: Policy) -> Iterator[str]:
    """Lead traffic to its listener, but for users that have a way of their own, or none.

    A way of one's own into the network is none for names: these are led all the same.
    """
    direct = {flow.user for flow in policy.direct} - {EVERYONE}
    ports = {redirect.port for redirect in policy.redirects}
    leaders = {each.user for each in policy.listeners if each.port in ports}
    yield from _unled(policy.bound_users | (direct & leaders))
    for redirect in policy.redirects:
        if redirect.traffic == "dns":
            yield f"ip daddr {_RESOLVER} udp dport 53 redirect to :{redirect.port}"
    yield 'oifname "lo" return'
    yield from _unled(direct - policy.bound_users - leaders)
    for redirect in policy.redirects:
        if redirect.traffic == "tcp":
            first_packet = "tcp flags & (fin | syn | rst | ack) == syn"
            yield f"meta protocol ip {first_packet} redirect to :{redirect.port}"


def _unled(users: Iterable[str]) -> Iterator[str]:
    if names := sorted(users):
        yield f"meta skuid {set_of(map(quoted, names))} return"


def _incoming(policy: Policy) -> Iterator[str]:
    yield 'iifname "lo" goto loopback_input'
    for listener in policy.listeners:
        if not listener.is_loopback:
            place = at_address(listener.address, "daddr")
            for far in far_ends(listener, "saddr"):
                yield rule(place, far, _to_port(listener), "accept")
    for match in unique(taken_on_link(flow) for flow in policy.links):
        yield rule(match, "accept")
    answers = (_answers(flow, policy) for flow in policy.direct)
    yield from unique(answer for several in answers for answer in several)


def _answers(flow: DirectFlow, policy: Policy) -> Iterator[str]:
    way = by_tunnel(policy, "iifname")
    for address in far_addresses(flow, "saddr", has_ipv6=policy.has_ipv6):
        yield rule(way, address, far_ports(flow, "sport"), "ct direction reply accept")


def _outgoing(policy: Policy) -> Iterator[str]:
    for redirect in policy.redirects:
        # A redirected packet keeps the interface that it was routed to first.
        yield rule(_led_to(redirect), "accept")
    yield 'oifname "lo" goto loopback_output'
    for claim in claims_of_the_kernel(policy):
        yield rule(claim, "goto refuse")
    for listener in policy.listeners:
        if not listener.is_loopback:
            yield rule(of_others(listener), "goto refuse")
            for far in far_ends(listener, "daddr"):
                yield rule(answer_of(listener), far, "ct direction reply accept")
    for match in unique(sent_on_link(flow) for flow in policy.links):
        yield rule(match, "accept")
    for flow in policy.direct:
        for address in far_addresses(flow, "daddr", has_ipv6=policy.has_ipv6):
            user = user_of(flow.user, policy.bound_users)
            yield rule(
                by_tunnel(policy, "oifname"), address, user, far_ports(flow, "dport"), "accept"
            )
    yield "goto refuse"


def _arriving_on_loopback(policy: Policy) -> Iterator[str]:
    """Admit what the output chain let through; here the sending user is not known."""
    yield _OWN_REFUSALS
    for _, mark in _inner_marks(policy):
        yield f"ct mark {mark} accept"
    for redirect in policy.redirects:
        yield rule(_led_to(redirect), "accept")
    yield from unique(
        f"meta l4proto {redirect.protocol} ct direction reply ct status dnat accept"
        for redirect in policy.redirects
    )
    for listener in policy.listeners:
        if listener.open_to:
            yield rule(at_address(listener.address, "daddr"), _to_port(listener), "accept")
            source = rule(at_address(listener.address, "saddr"), from_port(listener))
            yield rule(source, "ct direction reply accept")


def _leaving_on_loopback(policy: Policy) -> Iterator[str]:
    yield _OWN_REFUSALS
    for user, mark in _inner_marks(policy):
        destination = f"ip daddr {_LOOPBACK} tcp dport {_CHOSEN_PORTS}"
        begun = f"meta skuid {user} {destination} tcp flags & (syn | ack) == syn"
        yield f"{begun} ct mark set {mark} accept"
        # Only itself takes the connection.
        taken = f"ct mark {mark} tcp flags & (syn | ack) == syn | ack"
        yield f"{taken} meta skuid != {user} goto refuse"
        yield f"ct mark {mark} accept"
    for listener in policy.listeners:
        destination = rule(at_address(listener.address, "daddr"), _to_port(listener))
        for client in _clients_of(listener, policy):
            yield rule(destination, "ct direction original", client, "accept")
    for listener in policy.listeners:
        if listener.protocol == "tcp":
            # Only the listener's own user takes a connection; what follows may come from a
            # socket that its process has closed already, which has no user.
            source = rule(at_address(listener.address, "saddr"), from_port(listener))
            other = f"meta skuid != {quoted(listener.user)}"
            yield f"{source} tcp flags & (syn | ack) == syn | ack {other} goto refuse"
            yield f"{source} ct direction reply accept"
        else:
            yield rule(reply_of(listener), "ct direction reply", "accept")
    yield "goto refuse"


def _inner_marks(policy: Policy) -> Iterator[tuple[str, str]]:
    """Give each user that talks to itself, and what its connections are known by afterwards."""
    for number, flow in enumerate(policy.inner, start=1):
        yield quoted(flow.user), f"{_FIRST_INNER_MARK + number:#x}"


def _clients_of(listener: PolicyListener, policy: Policy) -> Iterator[str]:
    """Match who may connect, as a rule for them; none if only redirected traffic gets there."""
    if listener.is_open_to_everyone:
        admitted = {each.user for each in policy.matrix if _admits(each, listener)}
        refused = sorted(policy.bound_users - admitted)
        yield f"meta skuid != {set_of(map(quoted, refused))}" if refused else ""
    elif listener.open_to:
        yield f"meta skuid {set_of(map(quoted, listener.open_to))}"


def _admits(cell: Admission, listener: PolicyListener) -> bool:
    place = (cell.protocol, cell.address, cell.port)
    return cell.is_admitted and place == (listener.protocol, listener.address, listener.port)


def _led_to(redirect: PolicyRedirect) -> str:
    return f"ip daddr {_RESOLVER} {redirect.protocol} dport {redirect.port} ct status dnat"


def _to_port(listener: PolicyListener) -> str:
    return f"{listener.protocol} dport {listener.port}"

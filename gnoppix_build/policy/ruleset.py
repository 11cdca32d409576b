# SPDX-License-Identifier: GPL-3.0-or-later
"""The network policy as nftables text.

Every accept names a user, or the direction and port of an answer; a blanket accept of established
connections would let those go on that began under another ruleset. Source: nft(8).
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import Final, Literal

from gnoppix_build.policy.model import Policy, PolicyEgress, PolicyListener, PolicyRedirect

TABLE: Final = "inet gnoppix"
_RESOLVER: Final = "127.0.0.1"
_REPLACEMENT: Final = (f"table {TABLE}", f"delete table {TABLE}", "", f"table {TABLE} {{")
_OWN_REFUSALS: Final = "ct state related accept"


def format_ruleset(policy: Policy) -> str:
    """Write the ruleset that admits the policy and nothing else; loading it is atomic."""
    chains = [
        _chain("lead", "nat", "output", "-100", "accept", _redirecting(policy)),
        _chain("input", "filter", "input", "filter", "drop", _incoming(policy)),
        _chain("forward", "filter", "forward", "filter", "drop", ()),
        _chain("output", "filter", "output", "filter", "drop", _outgoing(policy)),
        _plain_chain("loopback_input", _arriving_on_loopback(policy)),
        _plain_chain("loopback_output", _leaving_on_loopback(policy)),
        _plain_chain("refuse", ("meta l4proto tcp reject with tcp reset", "reject")),
    ]
    return _table(chains if policy.redirects else chains[1:])


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
    """Lead traffic to its listener; the exempt users' own traffic goes past all redirects."""
    exempt = sorted({user for redirect in policy.redirects for user in redirect.exempt})
    if exempt:
        yield f"meta skuid {_set_of(map(_quoted, exempt))} return"
    for redirect in policy.redirects:
        if redirect.traffic == "dns":
            yield f"ip daddr {_RESOLVER} udp dport 53 redirect to :{redirect.port}"
    yield 'oifname "lo" return'
    for redirect in policy.redirects:
        if redirect.traffic == "tcp":
            first_packet = "tcp flags & (fin | syn | rst | ack) == syn"
            yield f"meta nfproto ipv4 {first_packet} redirect to :{redirect.port}"


def _incoming(policy: Policy) -> Iterator[str]:
    yield 'iifname "lo" goto loopback_input'
    for listener in policy.listeners:
        if not listener.is_loopback:
            yield f"{_at(listener, 'daddr')}{listener.protocol} dport {listener.port} accept"
    yield from _unique(_answer(egress) for egress in policy.egress)


def _answer(egress: PolicyEgress) -> str:
    """Admit what comes back; a protocol without connections has only its ports to go by."""
    ports = f"{egress.protocol} sport {_ports(egress)}" if egress.ports else ""
    if egress.reply_port is not None:
        to_port = f"{egress.protocol} dport {egress.reply_port}"
        return _rule("meta nfproto ipv4", ports, to_port, "accept")
    protocol = ports or f"meta l4proto {egress.protocol}"
    return _rule("meta nfproto ipv4", protocol, "ct direction reply accept")


def _outgoing(policy: Policy) -> Iterator[str]:
    for redirect in policy.redirects:
        # A redirected packet keeps the interface that it was routed to first.
        yield f"{_led_to(redirect)} accept"
    yield 'oifname "lo" goto loopback_output'
    for listener in policy.listeners:
        if not listener.is_loopback:
            yield f"{_reply_of(listener)} accept"
    for egress in policy.egress:
        ports = f"{egress.protocol} dport {_ports(egress)}" if egress.ports else ""
        from_port = ""
        if egress.reply_port is not None:
            from_port = f"{egress.protocol} sport {egress.reply_port}"
        protocol = "" if ports or from_port else f"meta l4proto {egress.protocol}"
        user = f"meta skuid {_quoted(egress.user)}"
        yield _rule("meta nfproto ipv4", user, protocol, from_port, ports, "accept")
    yield "goto refuse"


def _arriving_on_loopback(policy: Policy) -> Iterator[str]:
    """Admit what the output chain let through; here the sending user is not known."""
    yield _OWN_REFUSALS
    for redirect in policy.redirects:
        yield f"{_led_to(redirect)} accept"
    yield from _unique(
        f"meta l4proto {_protocol_of(redirect)} ct direction reply ct status dnat accept"
        for redirect in policy.redirects
    )
    for listener in policy.listeners:
        if listener.open_to:
            yield f"{_at(listener, 'daddr')}{listener.protocol} dport {listener.port} accept"
            source = f"{_at(listener, 'saddr')}{listener.protocol} sport {listener.port}"
            yield f"{source} ct direction reply accept"


def _leaving_on_loopback(policy: Policy) -> Iterator[str]:
    yield _OWN_REFUSALS
    for listener in policy.listeners:
        if listener.open_to:
            destination = f"{_at(listener, 'daddr')}{listener.protocol} dport {listener.port}"
            yield _rule(destination, "ct direction original", _clients_of(listener), "accept")
    for listener in policy.listeners:
        if listener.protocol == "tcp":
            # Only the listener's own user takes a connection; what follows may come from a
            # socket that its process has closed already, which has no user.
            source = f"{_at(listener, 'saddr')}tcp sport {listener.port}"
            other = f"meta skuid != {_quoted(listener.user)}"
            yield f"{source} tcp flags & (syn | ack) == syn | ack {other} goto refuse"
            yield f"{source} ct direction reply accept"
        else:
            yield f"{_reply_of(listener)} accept"
    yield "goto refuse"


def _led_to(redirect: PolicyRedirect) -> str:
    return f"ip daddr {_RESOLVER} {_protocol_of(redirect)} dport {redirect.port} ct status dnat"


def _protocol_of(redirect: PolicyRedirect) -> Literal["tcp", "udp"]:
    return "udp" if redirect.traffic == "dns" else "tcp"


def _reply_of(listener: PolicyListener) -> str:
    source = f"{_at(listener, 'saddr')}{listener.protocol} sport {listener.port}"
    return f"{source} ct direction reply meta skuid {_quoted(listener.user)}"


def _clients_of(listener: PolicyListener) -> str:
    if listener.is_open_to_everyone:
        return ""
    return f"meta skuid {_set_of(map(_quoted, listener.open_to))}"


def _at(listener: PolicyListener, direction: Literal["saddr", "daddr"]) -> str:
    """Match the listener's address, as the start of a rule; one that is unspecified is any."""
    address = ip_address(listener.address)
    family = "ip" if address.version == 4 else "ip6"  # noqa: PLR2004 - IPv4
    if address.is_unspecified:
        return f"meta nfproto ipv{address.version} "
    return f"{family} {direction} {address} "


def _ports(egress: PolicyEgress) -> str:
    return _set_of(str(port) for port in egress.ports)


def _set_of(elements: Iterable[str]) -> str:
    known = list(elements)
    return known[0] if len(known) == 1 else f"{{ {', '.join(known)} }}"


def _quoted(name: str) -> str:
    return f'"{name}"'


def _rule(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _unique(rules: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(rules)

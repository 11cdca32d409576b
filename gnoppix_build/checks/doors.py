# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a system listens and whom it lets in, in each of its network namespaces."""

import json
import re
from collections.abc import Iterable
from typing import Final, Protocol

from gnoppix_build.catalog.network import Namespace
from gnoppix_build.checks.programs import command_of
from gnoppix_build.policy.model import KERNEL, Policy, PolicyListener

Door = tuple[str, str, int]
"""Protocol, address and port; `unix`, a path and 0 for a socket in the file system."""

Place = tuple[Namespace, str, str, int]
"""A door of the network, with the namespace that it is in."""

# Where the kernel takes the port of a socket that names none (ip_local_port_range).
_CHOSEN_PORTS: Final = range(32768, 61000)
# Where services listen that a machine may have besides its own; 53 is led to a resolver.
_FOREIGN_PORTS: Final = (
    *(22, 25, 80, 111, 143, 443, 631, 993, 1080, 3128, 3306, 4444, 5432, 6379),
    *(8000, 8080, 8888, 9051, 9151, 11434, 27017),
)
_COUNT_OF_FOREIGN_PORTS: Final = 20


class Host(Protocol):
    """What is asked of a target."""

    def check_output(self, command: str) -> str:
        """Give what a command that has to succeed prints."""
        ...


def namespaces_of(policy: Policy) -> tuple[Namespace, ...]:
    """Name the network namespaces that the system has."""
    return ("system",) if policy.card_namespace == "system" else ("system", policy.card_namespace)


def in_namespace(namespace: Namespace, command: str) -> str:
    """Give the shell command that runs a command in a network namespace."""
    return command if namespace == "system" else f"ip netns exec {namespace} {command}"


def places_of(listeners: Iterable[PolicyListener]) -> set[Place]:
    """Give where listeners are."""
    return {(each.namespace, each.protocol, each.address, each.port) for each in listeners}


def listening_places(host: Host, policy: Policy) -> set[Place]:
    """Read which sockets listen, in every namespace.

    Those whose ports the kernel chose are left out where the policy speaks of them: by which a
    user talks to itself, or sends datagrams. So is a DHCP client's, which waits for answers.
    """
    return {
        (namespace, *door)
        for namespace in namespaces_of(policy)
        for door in _listening(host, policy.within(namespace), namespace)
    }


def undeclared(policy: Policy, namespace: Namespace) -> list[Door]:
    """Choose where nobody listens in a namespace: 20 ports of each protocol, and what others have.

    What listens in another namespace is knocked at as well: it has to be out of reach.
    """
    taken = {each.port for each in policy.listeners}
    ports = [port for port in _FOREIGN_PORTS if port not in taken][:_COUNT_OF_FOREIGN_PORTS]
    own = {(each.protocol, each.port) for each in policy.within(namespace).listeners}
    elsewhere = {
        (each.protocol, each.address, each.port)
        for each in policy.listeners
        if each.is_loopback and (each.protocol, each.port) not in own
    }
    foreign = [(protocol, "127.0.0.1", port) for protocol in ("tcp", "udp") for port in ports]
    return [*foreign, *sorted(elsewhere)]


def admitted_doors(policy: Policy, namespace: Namespace) -> dict[str, set[Door]]:
    """Give each user -> the doors of a namespace that the policy opens to it."""
    found: dict[str, set[Door]] = {user: set() for user in _numbers(policy)}
    for cell in policy.within(namespace).matrix:
        if cell.is_admitted:
            found[cell.user].add((cell.protocol, cell.address, cell.port))
    if namespace == "system":
        for each in policy.socket_matrix:
            if each.is_admitted:
                found[each.user].add(("unix", each.path, 0))
    return found


def reached_doors(host: Host, policy: Policy, namespace: Namespace) -> dict[str, set[Door]]:
    """Let every user knock in a namespace at the declared doors, and at those that are not."""
    part = policy.within(namespace)
    users = _numbers(policy)
    declared: set[Door] = {(each.protocol, each.address, each.port) for each in part.matrix}
    if namespace == "system":
        declared |= {("unix", each.path, 0) for each in policy.sockets}
    asked = {
        "users": users,
        "doors": undeclared(policy, namespace),
        "declared": sorted(declared),
        "closed": [
            (each.protocol, each.address, each.port, users[each.user])
            for each in sorted(part.awaiting)
        ],
    }
    knocking = in_namespace(namespace, command_of("try_matrix", json.dumps(asked)))
    answer = json.loads(host.check_output(knocking))
    return {user: {(kind, at, port) for kind, at, port in got} for user, got in answer.items()}


def _numbers(policy: Policy) -> dict[str, int]:
    return {"root": 0, **{user.name: user.uid for user in policy.users}}


def _listening(host: Host, part: Policy, namespace: Namespace) -> Iterable[Door]:
    names = {uid: user for user, uid in _numbers(part).items()}
    inner = {flow.user for flow in part.inner}
    senders = {flow.user for flow in part.direct if flow.protocol == "udp"}
    answers = {("udp", 68)} if any(each.link == "dhcp4" for each in part.links) else set()
    listing = host.check_output(in_namespace(namespace, "ss -H -l -n -t -u -e -p"))
    for line in listing.splitlines():
        protocol, _, _, _, local, *_ = line.split()
        address, _, number = local.rpartition(":")
        port = int(number)
        # ss leaves out the number of root; a socket of no process at all is the kernel's.
        uid = re.search(r"\buid:(\d+)", line)
        owner = names.get(int(uid[1]), "") if uid else "root" if "users:((" in line else KERNEL
        is_inner = owner in inner and address == "127.0.0.1"
        is_chosen = is_inner or (owner in senders and protocol == "udp")
        if not (is_chosen and port in _CHOSEN_PORTS) and (protocol, port) not in answers:
            yield protocol, re.sub(r"%.*|[\[\]]", "", address), port

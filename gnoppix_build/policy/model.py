# SPDX-License-Identifier: GPL-3.0-or-later
"""The network policy: who may talk to whom, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from gnoppix_build.catalog.network import EVERYONE, KERNEL, LinkProtocol, Namespace, Protocol
from gnoppix_build.catalog.service import Relaxation

__all__ = [
    "EVERYONE",
    "KERNEL",
    "Admission",
    "Carried",
    "Confined",
    "DirectFlow",
    "InnerFlow",
    "LinkFlow",
    "LinkProtocol",
    "Namespace",
    "Policy",
    "PolicyConsent",
    "PolicyListener",
    "PolicyRedirect",
    "PolicyService",
    "PolicySocket",
    "PolicyUser",
    "Protocol",
    "SocketAdmission",
]


@dataclass(frozen=True, slots=True, order=True)
class PolicyUser:
    """A user that a component declares, or that Debian has and a declaration names.

    `groups` are those that it is in besides its own.
    """

    name: str
    uid: int
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class PolicyListener:
    """A socket that is open; `open_to` names who may connect to it directly.

    `sources` are the networks that others may connect from; any if there are none.
    """

    component: str
    user: str
    protocol: Protocol
    address: str
    port: int
    open_to: tuple[str, ...]
    namespace: Namespace = "system"
    sources: tuple[str, ...] = ()

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach it."""
        return ip_address(self.address).is_loopback

    @property
    def is_open_to_everyone(self) -> bool:
        """Tell whether every local user may connect to it."""
        return EVERYONE in self.open_to


@dataclass(frozen=True, slots=True, order=True)
class PolicySocket:
    """A socket in the file system; `open_to` names the users and groups that may connect."""

    component: str
    user: str
    path: str
    open_to: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class DirectFlow:
    """What a user sends to the network itself; no ports or addresses: any."""

    component: str
    user: str
    protocol: Protocol
    ports: tuple[int, ...] = ()
    addresses: tuple[str, ...] = ()
    namespace: Namespace = "system"


@dataclass(frozen=True, slots=True, order=True)
class LinkFlow:
    """What a link needs to carry anything at all."""

    component: str
    link: LinkProtocol
    user: str
    namespace: Namespace = "system"


@dataclass(frozen=True, slots=True, order=True)
class Carried:
    """A user that reaches the network only through the listeners of the component `carrier`."""

    component: str
    user: str
    carrier: str
    namespace: Namespace = "system"


@dataclass(frozen=True, slots=True, order=True)
class Confined:
    """A user that sends nothing beyond this machine, or with `none` nothing at all."""

    component: str
    user: str
    reach: str


@dataclass(frozen=True, slots=True, order=True)
class InnerFlow:
    """A user whose own programs talk over the loopback interface, at ports the kernel chooses."""

    component: str
    user: str
    namespace: Namespace = "system"


@dataclass(frozen=True, slots=True, order=True)
class PolicyRedirect:
    """Traffic of all users without a way of their own that is led to a local port."""

    component: str
    traffic: str
    port: int
    namespace: Namespace = "system"

    @property
    def protocol(self) -> Protocol:
        """Give the protocol that carries the traffic."""
        return "udp" if self.traffic == "dns" else "tcp"


@dataclass(frozen=True, slots=True, order=True)
class PolicyConsent:
    """What stays closed until a member of `group` runs `command`; see `catalog.network.Consent`."""

    component: str
    command: tuple[str, ...]
    group: str
    opens: str


@dataclass(frozen=True, slots=True)
class PolicyService:
    """A unit, and what its sandbox is compiled from; see `catalog.service.Service`."""

    component: str
    unit: str
    user: str
    drops_privileges: bool
    capabilities: tuple[str, ...]
    ambient: tuple[str, ...]
    writes: tuple[str, ...]
    sees_sockets: tuple[str, ...]
    relaxes: Mapping[str, Relaxation]
    exposure: int
    because: str
    unconfined: str = ""
    namespace: Namespace = "system"
    mounts: bool = False
    has_sandbox: bool = True


@dataclass(frozen=True, slots=True, order=True)
class Admission:
    """Whether a user may connect directly to a listener: one cell of the matrix."""

    user: str
    protocol: Protocol
    address: str
    port: int
    is_admitted: bool
    namespace: Namespace = "system"


@dataclass(frozen=True, slots=True, order=True)
class SocketAdmission:
    """Whether a user may connect to a socket in the file system."""

    user: str
    path: str
    is_admitted: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """The network policy of a profile. Whatever it does not name is refused.

    With `tunnels`, direct flows of the system leave by these interfaces alone.
    """

    profile: str
    users: tuple[PolicyUser, ...] = ()
    listeners: tuple[PolicyListener, ...] = ()
    sockets: tuple[PolicySocket, ...] = ()
    direct: tuple[DirectFlow, ...] = ()
    links: tuple[LinkFlow, ...] = ()
    carried: tuple[Carried, ...] = ()
    confined: tuple[Confined, ...] = ()
    inner: tuple[InnerFlow, ...] = ()
    redirects: tuple[PolicyRedirect, ...] = ()
    consents: tuple[PolicyConsent, ...] = ()
    services: tuple[PolicyService, ...] = ()
    matrix: tuple[Admission, ...] = ()
    socket_matrix: tuple[SocketAdmission, ...] = ()
    card_namespace: Namespace = "system"
    tunnels: tuple[str, ...] = ()

    @property
    def has_ipv6(self) -> bool:
        """Tell whether the links carry IPv6."""
        return any(flow.link == "nd" for flow in self.links)

    @property
    def awaiting(self) -> frozenset[PolicyListener]:
        """Name the listeners that stay closed until a person agrees."""
        closed = {each.component for each in self.consents if each.opens == "listeners"}
        return frozenset(each for each in self.listeners if each.component in closed)

    @property
    def bound_users(self) -> frozenset[str]:
        """Name the users that have less than what is open to everyone."""
        return frozenset(each.user for each in self.carried) | {each.user for each in self.confined}

    def within(self, namespace: Namespace) -> "Policy":
        """Give the part of the policy that holds in one network namespace."""
        return Policy(
            profile=self.profile,
            users=self.users,
            listeners=tuple(each for each in self.listeners if each.namespace == namespace),
            sockets=self.sockets,
            direct=tuple(each for each in self.direct if each.namespace == namespace),
            links=tuple(each for each in self.links if each.namespace == namespace),
            carried=self.carried,
            confined=self.confined,
            inner=tuple(each for each in self.inner if each.namespace == namespace),
            redirects=tuple(each for each in self.redirects if each.namespace == namespace),
            consents=self.consents,
            services=tuple(each for each in self.services if each.namespace == namespace),
            matrix=tuple(each for each in self.matrix if each.namespace == namespace),
            socket_matrix=self.socket_matrix,
            card_namespace=self.card_namespace,
            tunnels=self.tunnels if namespace == "system" else (),
        )

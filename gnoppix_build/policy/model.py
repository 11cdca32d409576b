# SPDX-License-Identifier: GPL-3.0-or-later
"""The network policy: who may talk to whom, as values."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal

Protocol = Literal["tcp", "udp"]
EVERYONE: Final = "everyone"


@dataclass(frozen=True, slots=True, order=True)
class PolicyUser:
    """A user that a component declares."""

    name: str
    uid: int


@dataclass(frozen=True, slots=True, order=True)
class PolicyListener:
    """A socket that is open; `open_to` names who may connect to it directly."""

    component: str
    user: str
    protocol: Protocol
    address: str
    port: int
    open_to: tuple[str, ...]

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach it."""
        return ip_address(self.address).is_loopback

    @property
    def is_open_to_everyone(self) -> bool:
        """Tell whether every local user may connect to it."""
        return EVERYONE in self.open_to


@dataclass(frozen=True, slots=True, order=True)
class PolicyEgress:
    """What a user may send beyond this machine; no ports: any port."""

    component: str
    user: str
    protocol: Protocol
    ports: tuple[int, ...]
    reply_port: int | None


@dataclass(frozen=True, slots=True, order=True)
class PolicyRedirect:
    """Traffic of all but the exempt users that is led to a local port."""

    component: str
    traffic: Literal["tcp", "dns"]
    port: int
    exempt: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Admission:
    """Whether a user may connect directly to a listener: one cell of the matrix."""

    user: str
    protocol: Protocol
    address: str
    port: int
    is_admitted: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """The network policy of a profile. Whatever it does not name is refused."""

    profile: str
    users: tuple[PolicyUser, ...]
    listeners: tuple[PolicyListener, ...]
    egress: tuple[PolicyEgress, ...]
    redirects: tuple[PolicyRedirect, ...]
    matrix: tuple[Admission, ...]

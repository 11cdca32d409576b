# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component declares of the network: who listens where, and who may send what to where."""

from typing import Annotated, Final, Literal

from pydantic import Discriminator, Field, Tag

from gnoppix_build.catalog.declaration import (
    AddressSource,
    Condition,
    Declaration,
    Feature,
    FromOption,
    NetworkSource,
    PortSource,
)
from gnoppix_build.language.leaves import KebabName, Line, PathOfEach, UserName

EVERYONE: Final = "everyone"
KERNEL: Final = "kernel"
"""Stands for the kernel's own sockets, which belong to no user."""

Namespace = Literal["system", "carrier"]
"""The network namespace of all programs, or the one that has the cards beneath a tunnel."""

Protocol = Literal["tcp", "udp"]
LinkProtocol = Literal["arp", "dhcp4", "nd"]


class Listener(Declaration):
    """A socket that a user of the component listens on; `open_to` lists who may connect.

    A port that an option of type `ports` decides is a socket for each of them.
    `open_to` holds user names, or `everyone` for every local user; `sources` are the networks that
    others may connect from, any if there are none.
    """

    protocol: Protocol
    address: AddressSource
    port: PortSource
    user: UserName
    open_to: tuple[UserName, ...] = (EVERYONE,)
    sources: tuple[NetworkSource, ...] = ()
    namespace: Namespace = "system"
    when: Condition = Field(default_factory=dict)


class UnixSocket(Declaration):
    """A socket in the file system; `open_to` lists users and groups, or `everyone`.

    With `{model}` in its path there is one for each language model of the profile.
    """

    path: PathOfEach
    user: UserName
    open_to: tuple[UserName, ...] = (EVERYONE,)
    when: Condition = Field(default_factory=dict)


class Consent(Declaration):
    """What stays closed at each start until a member of `group` agrees by running `command`.

    It is the component's own listeners, or every network card.
    """

    command: tuple[Line, ...]
    group: UserName
    opens: Literal["listeners", "cards"]
    when: Condition = Field(default_factory=dict)


class ConfinedEgress(Declaration):
    """A user that sends nothing beyond this machine, or not even over the loopback interface."""

    user: UserName
    reach: Literal["none", "loopback"]
    when: Condition = Field(default_factory=dict)


class CarriedEgress(Declaration):
    """A user that reaches the network only through the listeners of another component.

    `through` is that component's name, or something that it provides.
    """

    user: UserName
    through: KebabName
    namespace: Namespace = "system"
    when: Condition = Field(default_factory=dict)


class DirectEgress(Declaration):
    """What a user sends to the network itself; no ports or addresses: any.

    Where an option has to tell them and is empty, nothing is sent, but for what `any_if_empty`
    names: of these, an empty option means any. `spares` lists features that egress of its kind
    ends, and why this one does not.

    With `endpoints`, an option each of whose texts has an ADDRESS:PORT as its second word, it is
    sent to each of these and nowhere else.
    """

    user: UserName
    protocol: Protocol
    ports: tuple[PortSource, ...] = ()
    addresses: tuple[AddressSource, ...] = ()
    any_if_empty: tuple[Literal["addresses", "ports"], ...] = ()
    spares: tuple[Feature, ...] = ()
    endpoints: FromOption | None = None
    namespace: Namespace = "system"
    when: Condition = Field(default_factory=dict)


class LinkEgress(Declaration):
    """What a link needs to carry anything: address resolution and configuration.

    `dhcp4`: RFC 2131, sent by `user`; `arp` (RFC 826) and `nd` (RFC 4861: solicitations and
    advertisements) are sent by the kernel, but a `user` of `nd` asks for routers by itself.
    """

    link: LinkProtocol
    user: UserName = KERNEL
    when: Condition = Field(default_factory=dict)


class InnerEgress(Declaration):
    """A user whose own programs talk over the loopback interface, at ports the kernel chooses."""

    user: UserName
    talks_to: Literal["itself"]
    when: Condition = Field(default_factory=dict)


def _form(value: object) -> str:
    """Tell the forms of egress apart by the key that only one of them has."""
    if isinstance(value, dict):
        keys = ("reach", "through", "link", "talks-to")
        return next((key for key in keys if key in value), "protocol")
    forms: dict[type, str] = {
        ConfinedEgress: "reach",
        CarriedEgress: "through",
        LinkEgress: "link",
        InnerEgress: "talks-to",
    }
    return forms.get(type(value), "protocol")


Egress = Annotated[
    Annotated[ConfinedEgress, Tag("reach")]
    | Annotated[CarriedEgress, Tag("through")]
    | Annotated[LinkEgress, Tag("link")]
    | Annotated[InnerEgress, Tag("talks-to")]
    | Annotated[DirectEgress, Tag("protocol")],
    Discriminator(_form),
]


class Redirect(Declaration):
    """Traffic that is led to a listener of this component.

    Its own users are not led to it, nor are those that go through another component or nowhere.
    Users with a direct egress are led with their questions for names only.
    """

    traffic: Literal["tcp", "dns"]
    port: PortSource
    when: Condition = Field(default_factory=dict)

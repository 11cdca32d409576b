# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component declares in its `component.yaml`, as types."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from gnoppix_build.language.leaves import (
    Integer,
    KebabName,
    KernelArgument,
    Line,
    ModuleName,
    Name,
    PackageName,
    Port,
    SysctlKey,
)


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class Declaration(BaseModel):
    """A part of a manifest: closed, frozen, kebab-case keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=_kebab,
        populate_by_name=True,
    )


class FromOption(Declaration):
    """A value that one of the component's own options decides."""

    option: str


Condition = dict[str, tuple[str, ...]]
"""Option name -> the values (as written) with which the declaration holds; empty: always."""


def _port_source(value: object) -> str:
    return "option" if isinstance(value, dict | FromOption) else "number"


def _one_or_several(value: object) -> str:
    return "list" if isinstance(value, tuple) else "text"


PortSource = Annotated[
    Annotated[Port, Tag("number")] | Annotated[FromOption, Tag("option")],
    Discriminator(_port_source),
]

WrittenValue = Annotated[
    Annotated[str, Tag("text")] | Annotated[tuple[str, ...], Tag("list")],
    Discriminator(_one_or_several),
]
"""An option's value as a profile writes it."""


class User(Declaration):
    """A system or login user with a fixed number; its group has the same name and number."""

    name: Name
    uid: Integer
    home: str = "/"
    shell: str = "/usr/sbin/nologin"
    gecos: str = ""
    when: Condition = Field(default_factory=dict)


class Units(Declaration):
    """systemd units by the state that the component wants."""

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()


class Listener(Declaration):
    """A socket that a user of the component listens on; `open_to` lists who may connect.

    `open_to` holds user names, or `everyone` for every local user.
    """

    protocol: Literal["tcp", "udp"]
    address: str
    port: PortSource
    user: str
    open_to: tuple[str, ...] = ("everyone",)
    when: Condition = Field(default_factory=dict)


class Egress(Declaration):
    """What one user of the component may send beyond this machine."""

    user: str
    protocol: Literal["tcp", "udp"]
    ports: tuple[Port, ...] = ()
    """Destination ports; empty: any."""
    reply_port: Port | None = None
    """The local port that answers come to, for protocols without a connection (DHCP: 68)."""
    when: Condition = Field(default_factory=dict)


class Redirect(Declaration):
    """Traffic of every other user that is led to a listener of this component."""

    traffic: Literal["tcp", "dns"]
    port: PortSource
    exempt: tuple[str, ...] = ()
    when: Condition = Field(default_factory=dict)


class Option(Declaration):
    """One option: type, default, documentation and an example."""

    type: Literal["switch", "integer", "port", "text", "name", "choice", "names"]
    default: WrittenValue
    choices: tuple[str, ...] = ()
    doc: str
    example: WrittenValue


class Feature(Declaration):
    """An ability of the whole system, such as `user-namespaces`, and what it is to a component."""

    name: KebabName
    because: Line


class Contribution(Declaration):
    """What a component brings to a system.

    `needs` lists features that must be there, `takes_away` those that it ends. `sysctl` maps a
    key of sysctl.d(5) to its value; a blocked module can be loaded by nobody.
    """

    packages: tuple[PackageName, ...] = ()
    units: Units = Field(default_factory=Units)
    kernel_modules: tuple[ModuleName, ...] = ()
    blocked_modules: tuple[ModuleName, ...] = ()
    kernel_arguments: tuple[KernelArgument, ...] = ()
    sysctl: dict[SysctlKey, Line] = Field(default_factory=dict)
    needs: tuple[Feature, ...] = ()
    takes_away: tuple[Feature, ...] = ()


class OptionalContribution(Contribution):
    """What it brings with certain option values only."""

    when: Condition


class Manifest(Contribution):
    """One component."""

    kind: KebabName
    summary: Line
    targets: tuple[Literal["image", "machine"], ...] = ("image", "machine")
    requires: tuple[KebabName, ...] = ()
    provides: tuple[KebabName, ...] = ()
    conflicts: tuple[KebabName, ...] = ()
    optional: tuple[OptionalContribution, ...] = ()
    users: tuple[User, ...] = ()
    listens: tuple[Listener, ...] = ()
    egress: tuple[Egress, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    options: Annotated[dict[KebabName, Option], Field(default_factory=dict)]

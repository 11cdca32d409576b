# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component declares in its `component.yaml`, as types."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class Declaration(BaseModel):
    """A part of a manifest: closed, frozen, kebab-case keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=_kebab, populate_by_name=True
    )


class FromOption(Declaration):
    """A value that one of the component's own options decides."""

    option: str


Condition = dict[str, tuple[str, ...]]
"""Option name -> the values (as written) with which the declaration holds; empty: always."""

PortSource = int | FromOption


class User(Declaration):
    """A system or login user with a fixed number; its group has the same name and number."""

    name: str
    uid: int
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
    ports: tuple[int, ...] = ()
    """Destination ports; empty: any."""
    reply_port: int | None = None
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
    default: str | tuple[str, ...]
    choices: tuple[str, ...] = ()
    doc: str
    example: str | tuple[str, ...]


class OptionalPackages(Declaration):
    """Packages that are only wanted with certain option values."""

    names: tuple[str, ...]
    when: Condition


class Manifest(Declaration):
    """One component."""

    kind: str
    summary: str
    targets: tuple[Literal["image", "machine"], ...] = ("image", "machine")
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    optional_packages: tuple[OptionalPackages, ...] = ()
    users: tuple[User, ...] = ()
    units: Units = Field(default_factory=Units)
    listens: tuple[Listener, ...] = ()
    egress: tuple[Egress, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    kernel_modules: tuple[str, ...] = ()
    kernel_arguments: tuple[str, ...] = ()
    options: Annotated[dict[str, Option], Field(default_factory=dict)]

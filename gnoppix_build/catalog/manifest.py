# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component declares in its `component.yaml`, as types."""

from typing import Annotated, Final, Literal

from pydantic import Discriminator, Field, Tag

from gnoppix_build.catalog.declaration import Condition, Declaration, Feature
from gnoppix_build.catalog.leak import Leak
from gnoppix_build.catalog.model import Model
from gnoppix_build.catalog.network import Consent, Egress, Listener, Redirect, UnixSocket
from gnoppix_build.catalog.private_root import PrivateRoot
from gnoppix_build.catalog.service import Service
from gnoppix_build.language.leaves import (
    AnyUnitName,
    Count,
    Integer,
    InterfaceName,
    KebabName,
    KernelArgument,
    Line,
    ModuleName,
    Name,
    PackageName,
    Pattern,
    Switch,
    SysctlKey,
    UserName,
)


def _one_or_several(value: object) -> str:
    return "list" if isinstance(value, tuple) else "text"


WrittenValue = Annotated[
    Annotated[str, Tag("text")] | Annotated[tuple[str, ...], Tag("list")],
    Discriminator(_one_or_several),
]
"""An option's value as a profile writes it."""

PEOPLE: Final = range(1000, 60000)
"""The numbers of accounts of people."""


class Group(Declaration):
    """A group with a fixed number; with `for_people` every person of the system is in it."""

    name: UserName
    gid: Integer
    for_people: Switch = False
    when: Condition = Field(default_factory=dict)


class User(Declaration):
    """A system or login user with a fixed number; its group has the same name and number.

    `groups` lists further groups that it is a member of.
    """

    name: UserName
    uid: Integer
    home: str = "/"
    shell: str = "/usr/sbin/nologin"
    gecos: str = ""
    groups: tuple[UserName, ...] = ()
    when: Condition = Field(default_factory=dict)

    @property
    def is_person(self) -> bool:
        """Tell whether somebody logs in as this user. Source: Debian Policy 9.2.2."""
        return self.uid in PEOPLE


class Units(Declaration):
    """systemd units by the state that the component wants."""

    enable: tuple[AnyUnitName, ...] = ()
    disable: tuple[AnyUnitName, ...] = ()
    mask: tuple[AnyUnitName, ...] = ()


class Option(Declaration):
    """One option: type, default, documentation and an example.

    Without a default it has to be given. `pattern` is a regular expression that each text of the
    types `text` and `texts` has to match as a whole; a mistake is answered with the example. In it
    `{host}` stands for the name or IPv4 address of a host and `{port}` for the number of a port.
    With `of: models`, what it names are language models of the profile. An integer is from `least`
    to `most`; a list has `fewest` different values or more, and with `is_keyed` the first words of
    its texts are names, of which each stands there once, as does each word after `distinct_after`
    others.
    """

    type: Literal[
        "switch",
        "integer",
        "port",
        "ports",
        "text",
        "texts",
        "name",
        "names",
        "choice",
        "address",
        "addresses",
        "networks",
        "path",
    ]
    default: WrittenValue | None = None
    choices: tuple[str, ...] = ()
    pattern: Pattern = ""
    of: Literal["models"] | None = None
    least: Integer | None = None
    most: Integer | None = None
    fewest: Count | None = None
    is_keyed: Switch = False
    distinct_after: Count | None = None
    doc: str
    example: WrittenValue


class Credential(Declaration):
    """A secret that the owner of a machine brings to it by name, and that no image has.

    `trial` is what a verification brings in its place. Source: systemd.system-credentials(7).
    """

    name: Name
    doc: Line
    trial: Line
    when: Condition = Field(default_factory=dict)


class Contribution(Declaration):
    """What a component brings to a system.

    `needs` lists features that must be there, `takes_away` those that it ends. `sysctl` maps a
    key of sysctl.d(5) to its value; a blocked module can be loaded by nobody. With `tunnels`,
    interfaces that it makes, direct egress of the system leaves by them alone.
    """

    packages: tuple[PackageName, ...] = ()
    units: Units = Field(default_factory=Units)
    kernel_modules: tuple[ModuleName, ...] = ()
    blocked_modules: tuple[ModuleName, ...] = ()
    kernel_arguments: tuple[KernelArgument, ...] = ()
    sysctl: dict[SysctlKey, Line] = Field(default_factory=dict)
    needs: tuple[Feature, ...] = ()
    takes_away: tuple[Feature, ...] = ()
    tunnels: tuple[InterfaceName, ...] = ()


class OptionalContribution(Contribution):
    """What it brings with certain option values only."""

    when: Condition


class Refusal(Declaration):
    """Options of one component that cannot hold together, and what to do instead.

    With values as in `unless`, they can.
    """

    when: Condition
    unless: Condition = Field(default_factory=dict)
    because: Line
    hint: Line


class FirstWord(Declaration):
    """An option each of whose texts begins with a word that another of the options has.

    `of` is that option: its value, or the first words of its texts.
    """

    option: KebabName
    of: KebabName
    because: Line
    when: Condition = Field(default_factory=dict)


class Forward(Declaration):
    """An option whose texts name targets that a user of the component leads others to.

    A target is a word such as `127.0.0.1:8080`, which has to be a listener that a component opens
    to the user, or `unix:/run/web.sock`, which has to be no component's socket: those are hidden.
    """

    option: KebabName
    user: UserName
    when: Condition = Field(default_factory=dict)


class Manifest(Contribution):
    """One component."""

    kind: KebabName
    summary: Line
    targets: tuple[Literal["image", "machine"], ...] = ("image", "machine")
    requires: tuple[KebabName, ...] = ()
    provides: tuple[KebabName, ...] = ()
    conflicts: tuple[KebabName, ...] = ()
    optional: tuple[OptionalContribution, ...] = ()
    groups: tuple[Group, ...] = ()
    users: tuple[User, ...] = ()
    listens: tuple[Listener, ...] = ()
    sockets: tuple[UnixSocket, ...] = ()
    egress: tuple[Egress, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    consents: tuple[Consent, ...] = ()
    services: tuple[Service, ...] = ()
    credentials: tuple[Credential, ...] = ()
    refuses: tuple[Refusal, ...] = ()
    first_words: tuple[FirstWord, ...] = ()
    forwards: tuple[Forward, ...] = ()
    leaks: tuple[Leak, ...] = ()
    private_root: PrivateRoot | None = None
    model: Model | None = None
    options: Annotated[dict[KebabName, Option], Field(default_factory=dict)]

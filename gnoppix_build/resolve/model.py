# SPDX-License-Identifier: GPL-3.0-or-later
"""What resolving yields: every component with every option decided, in build order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final, Literal

from gnoppix_build.catalog.declaration import FromOption
from gnoppix_build.catalog.manifest import Contribution, Manifest
from gnoppix_build.catalog.network import DirectEgress, Egress
from gnoppix_build.catalog.options import OptionValue
from gnoppix_build.diagnostics import Span
from gnoppix_build.language.node import Node
from gnoppix_build.language.node import Path as NodePath

__all__ = [
    "Definition",
    "OptionValue",
    "Resolved",
    "ResolvedComponent",
    "Target",
    "read_endpoint",
    "spell",
]

Target = Literal["image", "machine"]
LAST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Definition:
    """One place that gave a value, and the value as written; the last one given wins."""

    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class Part:
    """A contribution in force, its place in the manifest, and the condition that it has."""

    path: NodePath
    when: Mapping[str, tuple[str, ...]]
    contribution: Contribution


@dataclass(frozen=True, slots=True)
class ResolvedComponent:
    """A component of the profile; `options` and `definitions` are keyed by option name.

    `place` is where a profile asks for it, `root` is the manifest's tree.
    """

    name: str
    folder: Path
    layer: Literal["base", "packages"]
    manifest: Manifest
    options: Mapping[str, OptionValue]
    definitions: Mapping[str, tuple[Definition, ...]]
    reason: str
    place: Span
    root: Node

    @property
    def parts(self) -> tuple[Part, ...]:
        """What the component brings always, and what it brings with the options that it has."""
        optional = (
            Part(("optional", index), each.when, each)
            for index, each in enumerate(self.manifest.optional)
            if self.holds(each.when)
        )
        return (Part((), {}, self.manifest), *optional)

    @property
    def contributions(self) -> tuple[Contribution, ...]:
        """The parts without their places."""
        return tuple(part.contribution for part in self.parts)

    @property
    def offers(self) -> frozenset[str]:
        """Its name and what it provides."""
        return frozenset((self.name, *self.manifest.provides))

    def place_of(self, option: str) -> Span | None:
        """Give the place where a profile sets an option; None if it has its default."""
        definitions = self.definitions.get(option, ())
        last = definitions[-1].span if definitions else None
        return last if last and last.file != self.root.span.file else None

    def holds(self, condition: Mapping[str, tuple[str, ...]]) -> bool:
        """Tell whether every option in the condition has one of the values it lists."""
        return all(spell(self.options[option]) in values for option, values in condition.items())

    def ports_of(self, sources: Sequence[int | FromOption]) -> tuple[int, ...]:
        """Give the ports that are written or that options decide."""
        return tuple(each for each in self._decided(sources) if isinstance(each, int))

    def addresses_of(self, sources: Sequence[str | FromOption]) -> tuple[str, ...]:
        """Give the IP addresses that are written or that options decide."""
        return tuple(each for each in self._decided(sources) if isinstance(each, str))

    def sends(self, egress: Egress) -> bool:
        """Tell whether it is in force: an option that names no one is not one that names all."""
        if not isinstance(egress, DirectEgress):
            return self.holds(egress.when)
        named: tuple[tuple[str, Sequence[object], Sequence[object]], ...] = (
            ("addresses", egress.addresses, self.addresses_of(egress.addresses)),
            ("ports", egress.ports, self.ports_of(egress.ports)),
        )
        return self.holds(egress.when) and not any(
            sources and not decided and key not in egress.any_if_empty
            for key, sources, decided in named
        )

    def endpoints_of(self, source: FromOption) -> tuple[tuple[str, int], ...]:
        """Give the addresses and ports that the texts of an option have as their second words.

        A word that is not of this form is left out: a rule tells of it.
        """
        found = (read_endpoint(str(text)) for text in self._decided((source,)))
        return tuple(each for each in found if each is not None)

    def _decided(self, sources: Sequence[int | str | FromOption]) -> Iterator[int | str]:
        for source in sources:
            value = self.options[source.option] if isinstance(source, FromOption) else source
            yield from value if isinstance(value, tuple) else (value,)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A profile with its parents merged, its components chosen and ordered (requires first).

    `memory` is what the least machine that it must run on has, in bytes, if the profile says so.
    """

    name: str
    summary: str
    suite: str
    areas: tuple[str, ...]
    architecture: str
    locale: str
    keyboard: str
    mirror: str | None
    target: Target
    components: tuple[ResolvedComponent, ...]
    packages: tuple[str, ...]
    compression: Literal["development", "release"]
    notes: tuple[str, ...]
    memory: int | None = None


def read_endpoint(text: str) -> tuple[str, int] | None:
    """Read a second word such as `192.0.2.1:443` or `[2001:db8::1]:443` (RFC 3986)."""
    host, _, port = "".join(text.split()[1:2]).rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = IPv6Address(host[1:-1]) if bracketed else IPv4Address(host)
        number = int(port)
    except ValueError:
        return None
    return (str(address), number) if 0 < number <= LAST_PORT else None


def spell(value: OptionValue) -> str:
    """Write a value the way a profile writes it."""
    match value:
        case bool():
            return "on" if value else "off"
        case tuple():
            return " ".join(str(item) for item in value)
        case _:
            return str(value)

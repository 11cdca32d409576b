# SPDX-License-Identifier: GPL-3.0-or-later
"""What resolving yields: every component with every option decided, in build order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gnoppix_build.catalog.declaration import FromOption
from gnoppix_build.catalog.manifest import Contribution, Manifest
from gnoppix_build.catalog.options import OptionValue
from gnoppix_build.diagnostics import Span

__all__ = ["Definition", "OptionValue", "Resolved", "ResolvedComponent", "Target", "spell"]

Target = Literal["image", "machine"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One place that gave a value, and the value as written; the last one given wins."""

    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class ResolvedComponent:
    """A component of the profile; `options` and `definitions` are keyed by option name."""

    name: str
    folder: Path
    layer: Literal["base", "packages"]
    manifest: Manifest
    options: Mapping[str, OptionValue]
    definitions: Mapping[str, tuple[Definition, ...]]
    reason: str

    @property
    def contributions(self) -> tuple[Contribution, ...]:
        """What the component brings always, and what it brings with the options that it has."""
        optional = (each for each in self.manifest.optional if self.holds(each.when))
        return (self.manifest, *optional)

    def holds(self, condition: Mapping[str, tuple[str, ...]]) -> bool:
        """Tell whether every option in the condition has one of the values it lists."""
        return all(spell(self.options[option]) in values for option, values in condition.items())

    def ports_of(self, sources: Sequence[int | FromOption]) -> tuple[int, ...]:
        """Give the ports that are written or that options decide."""
        return tuple(each for each in self._decided(sources) if isinstance(each, int))

    def addresses_of(self, sources: Sequence[str | FromOption]) -> tuple[str, ...]:
        """Give the IP addresses that are written or that options decide."""
        return tuple(each for each in self._decided(sources) if isinstance(each, str))

    def _decided(self, sources: Sequence[int | str | FromOption]) -> Iterator[int | str]:
        for source in sources:
            value = self.options[source.option] if isinstance(source, FromOption) else source
            yield from value if isinstance(value, tuple) else (value,)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A profile with its parents merged, its components chosen and ordered (requires first)."""

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


def spell(value: OptionValue) -> str:
    """Write a value the way a profile writes it."""
    match value:
        case bool():
            return "on" if value else "off"
        case tuple():
            return " ".join(str(item) for item in value)
        case _:
            return str(value)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Which components a profile and its parents ask for, with every option decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gnoppix_build.catalog.load import Catalog, Component
from gnoppix_build.catalog.options import entry_of, read_option
from gnoppix_build.diagnostics import Diagnostic, Note, Span
from gnoppix_build.language.node import Entry, Node, child, key_span, span_of
from gnoppix_build.language.suggestion import did_you_mean
from gnoppix_build.resolve.inherit import Member
from gnoppix_build.resolve.merge import Claim, decide, strongest
from gnoppix_build.resolve.model import Definition, OptionValue, ResolvedComponent, spell


@dataclass(frozen=True, slots=True)
class Chosen:
    """The components asked for, by name, and the places that ask."""

    components: Mapping[str, ResolvedComponent]
    places: Mapping[str, Span]
    diagnostics: tuple[Diagnostic, ...]


def choose_components(members: Sequence[Member], catalog: Catalog) -> Chosen:
    """Merge the members' components and read their options as the manifests say."""
    choosing = _Choosing(members, catalog)
    names = {name for member in members for name in member.profile.components}
    for name in sorted(names):
        choosing.choose(name)
    return Chosen(choosing.components, choosing.places, tuple(choosing.diagnostics))


@dataclass(slots=True)
class _Choosing:
    members: Sequence[Member]
    catalog: Catalog
    components: dict[str, ResolvedComponent] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def choose(self, name: str) -> None:
        claims = [
            Claim(member, member.profile.components[name] == "off", _place(member, name))
            for member in self.members
            if name in member.profile.components
        ]
        component = self.catalog.components.get(name)
        if component is None:
            self._report_unknown(name, claims)
            return
        wanted = self._wanted(name, claims)
        if not wanted:
            return
        options: dict[str, OptionValue] = {}
        definitions: dict[str, tuple[Definition, ...]] = {}
        self._report_unknown_options(component, wanted)
        for key in component.manifest.options:
            written = [
                Claim(claim.member, entry, entry.value.span)
                for claim in wanted
                if (entry := _option_entry(claim.member, name, key))
            ]
            decided, definitions[key] = self._option(component, key, written)
            if decided is None:
                if not written:
                    self._report_missing_option(component, key, wanted[0].span)
                # Good only to look for further mistakes.
                decided = component.examples[key]
            options[key] = decided
        self.places[name] = wanted[0].span
        self.components[name] = ResolvedComponent(
            name=name,
            folder=component.folder,
            layer=component.kind.layer,
            manifest=component.manifest,
            options=options,
            definitions=definitions,
            reason=f"asked for in {wanted[0].span.file}:{wanted[0].span.line}",
            place=wanted[0].span,
            root=component.root,
        )

    def _wanted(self, name: str, claims: Sequence[Claim[bool]]) -> list[Claim[bool]]:
        """Leave the claims that no `off` of a descendant takes out; none if it is off."""
        is_off, conflicts = decide(f"components.{name}", claims)
        self.diagnostics += conflicts
        offs = [claim for claim in claims if claim.value]
        for claim in offs:
            if not any(other.member.index in claim.member.ancestors for other in claims):
                message = f"no parent asks for `{name}`, so `off` takes nothing out"
                self.diagnostics.append(
                    Diagnostic("nothing-to-remove", message, claim.span, severity="warning")
                )
        if is_off:
            return []
        taken_out = frozenset[int]().union(*(claim.member.ancestors for claim in offs))
        return [
            claim for claim in claims if not claim.value and claim.member.index not in taken_out
        ]

    def _option(
        self, component: Component, key: str, written: Sequence[Claim[Entry]]
    ) -> tuple[OptionValue | None, tuple[Definition, ...]]:
        default = component.defaults.get(key)
        definitions: list[Definition] = []
        if default is not None:
            place = span_of(component.root, _default_path(key))
            definitions.append(Definition(spell(default), place))
        claims: list[Claim[OptionValue]] = []
        for each in written:
            value, mistakes = read_option(component.manifest.options[key], each.value)
            self.diagnostics += mistakes
            if value is not None:
                claims.append(Claim(each.member, value, each.span))
                definitions.append(Definition(spell(value), each.span))
        if not claims:
            return default, tuple(definitions)
        if any(isinstance(claim.value, tuple) for claim in claims):
            return _joined(claims), tuple(definitions)
        decided, conflicts = decide(f"components.{component.name}.{key}", claims)
        self.diagnostics += conflicts
        return decided, tuple(definitions)

    def _report_unknown(self, name: str, claims: Sequence[Claim[bool]]) -> None:
        first, *others = strongest(claims)
        self.diagnostics.append(
            Diagnostic(
                "unknown-component",
                f"there is no component `{name}`",
                first.span,
                tuple(Note("it is named here too", claim.span) for claim in others),
                did_you_mean(name, self.catalog.components),
            )
        )

    def _report_missing_option(self, component: Component, key: str, place: Span) -> None:
        option = component.manifest.options[key]
        self.diagnostics.append(
            Diagnostic(
                "missing-option",
                f"`{component.name}` has to be told its `{key}`: {option.doc}",
                place,
                (),
                f"add `{key}: {_as_yaml(option.example)}`",
            )
        )

    def _report_unknown_options(self, component: Component, claims: Sequence[Claim[bool]]) -> None:
        for claim in claims:
            written = claim.member.profile.components[component.name]
            for key in written if isinstance(written, dict) else ():
                if key not in component.manifest.options:
                    self.diagnostics.append(
                        Diagnostic(
                            "unknown-option",
                            f"`{component.name}` has no option `{key}`",
                            key_span(claim.member.root, ("components", component.name, key)),
                            (),
                            did_you_mean(key, component.manifest.options),
                        )
                    )


def _place(member: Member, name: str) -> Span:
    return key_span(member.root, ("components", name))


def _option_entry(member: Member, name: str, key: str) -> Entry | None:
    """Find an option as written, unless the profile's own reading found a mistake in it."""
    written = member.profile.components[name]
    if not isinstance(written, dict) or key not in written:
        return None
    components = child(member.root, "components")
    node: Node | None = child(components, name) if components else None
    return entry_of(node, key) if node else None


def _default_path(key: str) -> tuple[str, ...]:
    return ("options", key, "default")


def _joined(claims: Sequence[Claim[OptionValue]]) -> tuple[Any, ...]:
    """Join lists, parents' items first, each item once."""
    items = [item for claim in claims if isinstance(claim.value, tuple) for item in claim.value]
    return tuple(dict.fromkeys(items))


def _as_yaml(example: str | tuple[str, ...]) -> str:
    return example if isinstance(example, str) else f"[{', '.join(example)}]"

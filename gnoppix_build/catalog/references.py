# SPDX-License-Identifier: GPL-3.0-or-later
"""What a manifest says of its own options: every name has to be one of them."""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from gnoppix_build.catalog.declaration import Condition, FromOption
from gnoppix_build.catalog.manifest import Manifest, Option
from gnoppix_build.catalog.model import HubFile
from gnoppix_build.catalog.network import DirectEgress
from gnoppix_build.diagnostics import Diagnostic, Span
from gnoppix_build.language.node import Node, Path, key_span, span_of
from gnoppix_build.language.suggestion import did_you_mean


class Conditional(Protocol):
    """A part of a manifest that holds with certain options only."""

    @property
    def when(self) -> Condition:
        """Give the condition."""
        ...


PORT_TYPES: Final = frozenset(("port", "ports"))
TEXT_TYPES: Final = frozenset(("text", "texts"))
ADDRESS_TYPES: Final = frozenset(("address", "addresses"))
NUMBER_TYPES: Final = frozenset(("integer",))
LIST_TYPES: Final = frozenset(("addresses", "names", "networks", "ports", "texts"))
NETWORK_TYPES: Final = ADDRESS_TYPES | {"networks"}


def check_references(manifest: Manifest, root: Node) -> Iterator[Diagnostic]:
    """Find conditions, ports, addresses and patterns that do not fit the options."""
    parts: dict[str, Sequence[Conditional]] = {
        "groups": manifest.groups,
        "users": manifest.users,
        "listens": manifest.listens,
        "sockets": manifest.sockets,
        "egress": manifest.egress,
        "redirects": manifest.redirects,
        "consents": manifest.consents,
        "services": manifest.services,
        "credentials": manifest.credentials,
        "refuses": manifest.refuses,
        "first-words": manifest.first_words,
        "forwards": manifest.forwards,
        "leaks": manifest.leaks,
        "optional": manifest.optional,
    }
    for key, declarations in parts.items():
        for index, declaration in enumerate(declarations):
            yield from _check_condition(declaration.when, manifest, root, (key, index, "when"))
    for index, refusal in enumerate(manifest.refuses):
        yield from _check_condition(refusal.unless, manifest, root, ("refuses", index, "unless"))
    yield from _check_named_options(manifest, root)
    for name, option in manifest.options.items():
        yield from _check_limits(name, option, root)
    for path, source, types in _sources(manifest):
        if isinstance(source, FromOption):
            yield from _check_source(source, types, manifest, root, path)


def _check_condition(
    condition: Condition, manifest: Manifest, root: Node, path: Path
) -> Iterator[Diagnostic]:
    for name, values in condition.items():
        option = manifest.options.get(name)
        if option is None:
            hint = did_you_mean(name, manifest.options)
            yield _unknown(name, key_span(root, (*path, name)), hint)
            continue
        for place, value in enumerate(values):
            yield from _check_value(name, option, value, root, (*path, name, place))


def _check_limits(name: str, option: Option, root: Node) -> Iterator[Diagnostic]:
    """Find what limits values that an option of this type never has."""
    limits = (
        ("pattern", option.pattern, TEXT_TYPES, "a pattern is for texts"),
        ("least", option.least, NUMBER_TYPES, "bounds are for numbers"),
        ("most", option.most, NUMBER_TYPES, "bounds are for numbers"),
        ("fewest", option.fewest, LIST_TYPES, "a number of values is for lists"),
        ("is-keyed", option.is_keyed, frozenset(("texts",)), "first words are for lists of texts"),
        ("distinct-after", option.distinct_after, frozenset(("texts",)), "words are for texts"),
    )
    for key, limit, types, purpose in limits:
        if limit and option.type not in types:
            message = f"`{name}` is of type `{option.type}`, {purpose}"
            yield Diagnostic("wrong-type", message, span_of(root, ("options", name, key)))


def _check_named_options(manifest: Manifest, root: Node) -> Iterator[Diagnostic]:
    for index, rule in enumerate(manifest.first_words):
        for key, name in (("option", rule.option), ("of", rule.of)):
            yield from _check_name(name, manifest, root, ("first-words", index, key))
    for index, forward in enumerate(manifest.forwards):
        yield from _check_name(forward.option, manifest, root, ("forwards", index, "option"))


def _check_name(name: str, manifest: Manifest, root: Node, path: Path) -> Iterator[Diagnostic]:
    if name not in manifest.options:
        yield _unknown(name, span_of(root, path), did_you_mean(name, manifest.options))


def _sources(manifest: Manifest) -> Iterator[tuple[Path, object, frozenset[str]]]:
    """Give whatever an option may decide: its place, what stands there, the types that fit."""
    for index, listener in enumerate(manifest.listens):
        yield ("listens", index, "port"), listener.port, PORT_TYPES
        yield ("listens", index, "address"), listener.address, frozenset(("address",))
        for place, network in enumerate(listener.sources):
            yield ("listens", index, "sources", place), network, NETWORK_TYPES
    for index, redirect in enumerate(manifest.redirects):
        yield ("redirects", index, "port"), redirect.port, frozenset(("port",))
    for index, egress in enumerate(manifest.egress):
        if isinstance(egress, DirectEgress):
            for place, port in enumerate(egress.ports):
                yield ("egress", index, "ports", place), port, PORT_TYPES
            for place, address in enumerate(egress.addresses):
                yield ("egress", index, "addresses", place), address, ADDRESS_TYPES
            yield ("egress", index, "endpoints"), egress.endpoints, frozenset(("texts",))
    if (model := manifest.model) is not None:
        yield ("model", "bytes"), model.bytes, frozenset(("integer",))
        yield ("model", "sha256"), model.sha256, frozenset(("text",))
        if isinstance(model.source, HubFile):
            yield ("model", "source", "commit"), model.source.commit, frozenset(("text",))


def _check_value(
    name: str, option: Option, value: str, root: Node, path: Path
) -> Iterator[Diagnostic]:
    known = ("on", "off") if option.type == "switch" else option.choices
    if known and value not in known:
        yield Diagnostic(
            "unknown-value",
            f"`{name}` is never `{value}`",
            span_of(root, path),
            (),
            did_you_mean(value, known),
        )


def _check_source(
    source: FromOption, types: frozenset[str], manifest: Manifest, root: Node, path: Path
) -> Iterator[Diagnostic]:
    span = span_of(root, (*path, "option"))
    option = manifest.options.get(source.option)
    if option is None:
        yield _unknown(source.option, span, did_you_mean(source.option, manifest.options))
    elif option.type not in types:
        wanted = " or ".join(f"`{each}`" for each in sorted(types))
        message = f"`{source.option}` is of type `{option.type}`, {wanted} is wanted"
        yield Diagnostic("wrong-type", message, span)


def _unknown(option: str, span: Span, hint: str | None) -> Diagnostic:
    return Diagnostic("unknown-option", f"there is no option `{option}`", span, (), hint)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a manifest says of its own options: every name has to be one of them."""

from collections.abc import Iterator, Sequence

from gnoppix_build.catalog.manifest import (
    Egress,
    FromOption,
    Listener,
    Manifest,
    Option,
    OptionalContribution,
    Redirect,
    User,
)
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.node import Node, key_span, span_of
from gnoppix_build.language.suggestion import did_you_mean


def check_references(manifest: Manifest, root: Node) -> Iterator[Diagnostic]:
    """Find conditions and ports that speak of options, or of values, that do not exist."""
    parts: dict[str, Sequence[User | Listener | Egress | Redirect | OptionalContribution]] = {
        "users": manifest.users,
        "listens": manifest.listens,
        "egress": manifest.egress,
        "redirects": manifest.redirects,
        "optional": manifest.optional,
    }
    for key, declarations in parts.items():
        for index, declaration in enumerate(declarations):
            for option, values in declaration.when.items():
                path = (key, index, "when", option)
                if option not in manifest.options:
                    yield _unknown(option, manifest, root, path)
                    continue
                for place, value in enumerate(values):
                    yield from _check_value(
                        option, manifest.options[option], value, root, (*path, place)
                    )
    ports = [("listens", n, each.port) for n, each in enumerate(manifest.listens)]
    ports += [("redirects", n, each.port) for n, each in enumerate(manifest.redirects)]
    for key, index, port in ports:
        if isinstance(port, FromOption):
            yield from _check_port(port, manifest, root, (key, index, "port", "option"))


def _check_value(
    name: str, option: Option, value: str, root: Node, path: tuple[str | int, ...]
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


def _check_port(
    port: FromOption, manifest: Manifest, root: Node, path: tuple[str | int, ...]
) -> Iterator[Diagnostic]:
    option = manifest.options.get(port.option)
    if option is None:
        span = span_of(root, path)
        hint = did_you_mean(port.option, manifest.options)
        yield Diagnostic("unknown-option", f"there is no option `{port.option}`", span, (), hint)
    elif option.type != "port":
        message = f"`{port.option}` is of type `{option.type}`, a port is wanted"
        yield Diagnostic("wrong-type", message, span_of(root, path))


def _unknown(
    option: str, manifest: Manifest, root: Node, path: tuple[str | int, ...]
) -> Diagnostic:
    return Diagnostic(
        "unknown-option",
        f"there is no option `{option}`",
        key_span(root, path),
        (),
        did_you_mean(option, manifest.options),
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""Option values as written, to values of the option's type."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from gnoppix_build.catalog.manifest import Option
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.decode import decode
from gnoppix_build.language.leaves import (
    Integer,
    IpAddress,
    IpNetwork,
    Line,
    Name,
    Port,
    Switch,
    SystemPath,
    matching,
)
from gnoppix_build.language.node import Entry, Node, Table

OptionValue = bool | int | str | tuple[str, ...] | tuple[int, ...]

_TYPES: Final[Mapping[str, Any]] = {
    "switch": Switch,
    "integer": Integer,
    "port": Port,
    "text": Line,
    "texts": tuple[Line, ...],
    "name": Name,
    "names": tuple[Name, ...],
    "address": IpAddress,
    "addresses": tuple[IpAddress, ...],
    "networks": tuple[IpNetwork, ...],
    "ports": tuple[Port, ...],
    "path": SystemPath,
}


def read_option(option: Option, entry: Entry) -> tuple[OptionValue | None, tuple[Diagnostic, ...]]:
    """Read the value of an entry as the option's type says; None with mistakes."""
    key = entry.key.text
    table = Table((entry,), entry.key.span)
    decoded = decode(table, _holder(key, *_shape_of(option)))
    if decoded.diagnostics or decoded.value is None:
        return None, decoded.diagnostics
    value: OptionValue = getattr(decoded.value, "value")  # noqa: B009 - the type is made below
    return value, ()


def option_schema(option: Option) -> dict[str, Any]:
    """Describe an option as JSON Schema."""
    schema = TypeAdapter(_type_of(*_shape_of(option))).json_schema()
    default = {} if option.default is None else {"default": option.default}
    return {**schema, "description": option.doc, **default}


def entry_of(node: Node, key: str) -> Entry | None:
    """Find an entry in what may be a table."""
    return node.entry(key) if isinstance(node, Table) else None


def _shape_of(option: Option) -> tuple[str, tuple[str, ...], str, str]:
    """Give what its type depends on: kind, choices, pattern, and a text of the right form."""
    example = option.example if isinstance(option.example, str) else "".join(option.example[:1])
    return option.type, option.choices, option.pattern, example


@cache
def _holder(
    key: str, kind: str, choices: tuple[str, ...], pattern: str, example: str
) -> type[BaseModel]:
    return create_model(
        "OptionHolder",
        __config__=ConfigDict(strict=True),
        value=(_type_of(kind, choices, pattern, example), Field(alias=key)),
    )


def _type_of(kind: str, choices: tuple[str, ...], pattern: str, example: str) -> Any:  # noqa: ANN401 - an annotation
    if kind == "choice":
        return Literal[choices]
    if not pattern:
        return _TYPES[kind]
    form = matching(
        pattern, "wrong-form", "of the form that is wanted here", f"write it as in `{example}`"
    )
    text = Annotated[Line, form[0], form[1]]
    return tuple[text, ...] if kind == "texts" else text

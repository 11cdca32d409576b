# SPDX-License-Identifier: GPL-3.0-or-later
"""Option values as written, to values of the option's type."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from gnoppix_build.catalog.manifest import Option
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.decode import decode
from gnoppix_build.language.leaves import (
    Integer,
    IpAddress,
    Line,
    Name,
    Port,
    Switch,
    SystemPath,
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
    "ports": tuple[Port, ...],
    "path": SystemPath,
}


def read_option(option: Option, entry: Entry) -> tuple[OptionValue | None, tuple[Diagnostic, ...]]:
    """Read the value of an entry as the option's type says; None with mistakes."""
    key = entry.key.text
    table = Table((entry,), entry.key.span)
    decoded = decode(table, _holder(key, option.type, option.choices))
    if decoded.diagnostics or decoded.value is None:
        return None, decoded.diagnostics
    value: OptionValue = getattr(decoded.value, "value")  # noqa: B009 - the type is made below
    return value, ()


def option_schema(option: Option) -> dict[str, Any]:
    """Describe an option as JSON Schema."""
    schema = TypeAdapter(_type_of(option.type, option.choices)).json_schema()
    default = {} if option.default is None else {"default": option.default}
    return {**schema, "description": option.doc, **default}


def entry_of(node: Node, key: str) -> Entry | None:
    """Find an entry in what may be a table."""
    return node.entry(key) if isinstance(node, Table) else None


@cache
def _holder(key: str, kind: str, choices: tuple[str, ...]) -> type[BaseModel]:
    return create_model(
        "OptionHolder",
        __config__=ConfigDict(strict=True),
        value=(_type_of(kind, choices), Field(alias=key)),
    )


def _type_of(kind: str, choices: tuple[str, ...]) -> Any:  # noqa: ANN401 - an annotation
    return Literal[choices] if kind == "choice" else _TYPES[kind]

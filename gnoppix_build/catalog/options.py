# SPDX-License-Identifier: GPL-3.0-or-later
"""Option values as written, to values of the option's type."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce
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
    within,
)
from gnoppix_build.language.node import Entry, Node, Table

OptionValue = bool | int | str | tuple[str, ...] | tuple[int, ...]

_TYPES: Final[Mapping[str, Any]] = {
    "switch": Switch,
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

_FORMS: Final[Mapping[str, str]] = {
    # Not the 253 characters of RFC 1035: with a port, 255 bytes hold it.
    "{host}": "(?=[A-Za-z0-9.-]{1,249}(?![A-Za-z0-9.-]))"
    "([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)*"
    "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
    "{port}": "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}"
    "|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])",
}
"""What stands in a pattern -> the regular expression that is meant."""


def read_option(option: Option, entry: Entry) -> tuple[OptionValue | None, tuple[Diagnostic, ...]]:
    """Read the value of an entry as the option's type says; None with mistakes."""
    key = entry.key.text
    table = Table((entry,), entry.key.span)
    decoded = decode(table, _holder(key, _shape_of(option)))
    if decoded.diagnostics or decoded.value is None:
        return None, decoded.diagnostics
    value: OptionValue = getattr(decoded.value, "value")  # noqa: B009 - the type is made below
    return value, ()


def option_schema(option: Option) -> dict[str, Any]:
    """Describe an option as JSON Schema."""
    schema = TypeAdapter(_type_of(_shape_of(option))).json_schema()
    default = {} if option.default is None else {"default": option.default}
    return {**schema, "description": option.doc, **default}


def entry_of(node: Node, key: str) -> Entry | None:
    """Find an entry in what may be a table."""
    return node.entry(key) if isinstance(node, Table) else None


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the type of an option depends on; `example` is a text of the right form."""

    kind: str
    choices: tuple[str, ...]
    pattern: str
    example: str
    least: int | None
    most: int | None


def _shape_of(option: Option) -> _Shape:
    example = option.example if isinstance(option.example, str) else "".join(option.example[:1])
    return _Shape(option.type, option.choices, option.pattern, example, option.least, option.most)


@cache
def _holder(key: str, shape: _Shape) -> type[BaseModel]:
    return create_model(
        "OptionHolder",
        __config__=ConfigDict(strict=True),
        value=(_type_of(shape), Field(alias=key)),
    )


def _type_of(shape: _Shape) -> Any:  # noqa: ANN401 - an annotation
    if shape.kind == "choice":
        return Literal[shape.choices]
    if shape.kind == "integer":
        bounds = within(shape.least, shape.most)
        return Annotated[Integer, bounds[0], bounds[1]]
    if not shape.pattern:
        return _TYPES[shape.kind]
    hint = f"write it as in `{shape.example}`"
    pattern = reduce(lambda text, form: text.replace(*form), _FORMS.items(), shape.pattern)
    form = matching(pattern, "wrong-form", "of the form that is wanted here", hint)
    text = Annotated[Line, form[0], form[1]]
    return tuple[text, ...] if shape.kind == "texts" else text

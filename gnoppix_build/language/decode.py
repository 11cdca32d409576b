# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree to a value of a pydantic type; every mistake becomes a diagnostic with its place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from gnoppix_build.diagnostics import Diagnostic, Span
from gnoppix_build.language.leaves import Plain
from gnoppix_build.language.node import Leaf, Listing, Node, Path, Table, child, key_span
from gnoppix_build.language.suggestion import did_you_mean, nearest

M = TypeVar("M", bound=BaseModel)

_WANTED: Final = {
    "string_type": "text",
    "dict_type": "a map",
    "model_type": "a map",
    "tuple_type": "a list",
    "list_type": "a list",
    "int_type": "a number",
    "bool_type": "`on` or `off`",
}


@dataclass(frozen=True, slots=True)
class Decoded(Generic[M]):
    """The value, and the mistakes found.

    With mistakes, the value is what is left without them (a missing key has the first example of
    its field), good only to look for further mistakes; None if nothing is left.
    """

    value: M | None
    diagnostics: tuple[Diagnostic, ...]


def decode(node: Node, model: type[M]) -> Decoded[M]:
    """Read a tree as a value of the type."""
    try:
        return Decoded(model.model_validate(_plain(node, frozenset())), ())
    except ValidationError as error:
        raw = error.errors(include_url=False, include_input=False)
    found: dict[tuple[object, ...], Diagnostic] = {}
    dropped: set[Path] = set()
    for each in raw:
        path = _path_in(node, each["loc"])
        dropped.add(path)
        diagnostic = _explain(each, node, path, model)
        if diagnostic:
            found.setdefault((diagnostic.span, diagnostic.code, diagnostic.message), diagnostic)
    return Decoded(_rest(node, model, frozenset(dropped)), tuple(found.values()))


def _plain(node: Node, dropped: frozenset[Path], path: Path = ()) -> object:
    match node:
        case Leaf():
            return node.text if node.quoted else Plain(node.text)
        case Listing():
            places = [(*path, index) for index in range(len(node.items))]
            return tuple(
                _plain(item, dropped, place)
                for item, place in zip(node.items, places, strict=True)
                if place not in dropped
            )
        case Table():
            return {
                entry.key.text: _plain(entry.value, dropped, (*path, entry.key.text))
                for entry in node.entries
                if (*path, entry.key.text) not in dropped
            }


def _rest(node: Node, model: type[M], dropped: frozenset[Path]) -> M | None:
    values = _plain(node, dropped)
    if not isinstance(values, dict):
        return None
    for name, field in model.model_fields.items():
        key = field.alias or name
        if field.is_required() and key not in values and field.examples:
            values[key] = field.examples[0]
    try:
        return model.model_validate(values)
    except ValidationError:
        return None


def _path_in(node: Node, location: Sequence[str | int]) -> Path:
    """Leave out of pydantic's location what is no step in the tree: tags and absent keys."""
    path: list[str | int] = []
    for step in location:
        below = child(node, step)
        if below is not None:
            path.append(step)
            node = below
    return tuple(path)


def _explain(
    error: Mapping[str, Any], root: Node, path: Path, model: type[BaseModel]
) -> Diagnostic | None:
    location: tuple[str | int, ...] = error["loc"]
    node = _at(root, path)
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown_key(root, path, _keys_at(model, location[:-1]))
    if location[-1:] == ("[key]",):
        return _explain_value(error, node, key_span(root, path))
    if isinstance(node, Leaf) and node.refused:
        return None
    if kind == "missing":
        return Diagnostic("missing-key", f"`{location[-1]}` is missing here", node.span)
    return _explain_value(error, node, node.span)


def _unknown_key(root: Node, path: Path, known: list[str]) -> Diagnostic:
    where = f"`{path[-2]}` has" if len(path) > 1 else "there is"
    hint = did_you_mean(str(path[-1]), known)
    message = f"{where} no key `{path[-1]}`"
    return Diagnostic("unknown-key", message, key_span(root, path), (), hint)


def _explain_value(error: Mapping[str, Any], node: Node, place: Span) -> Diagnostic:
    context: Mapping[str, Any] = error.get("ctx", {})
    kind = error["type"]
    if kind == "mistake":
        hint = context["hint"] or None
        return Diagnostic(context["code"], context["message"], place, (), hint)
    if kind == "literal_error" and isinstance(node, Leaf):
        choices = context["expected"].replace("'", "`")
        near = nearest(node.text, choices.split("`")[1::2])
        hint = f"did you mean `{near}`?" if near else None
        message = f"`{node.text}` is not {choices}"
        return Diagnostic("unknown-value", message, place, (), hint)
    if kind in _WANTED or kind == "literal_error":
        wanted = _WANTED.get(kind, "text")
        return Diagnostic("wrong-type", f"{wanted} is wanted here, {_found(node)} is given", place)
    message = str(error["msg"])
    return Diagnostic("wrong-value", message[:1].lower() + message[1:], place)


def _at(node: Node, path: Path) -> Node:
    for step in path:
        below = child(node, step)
        assert below is not None, "the path was found in this tree"
        node = below
    return node


def _found(node: Node) -> str:
    match node:
        case Leaf():
            return f"`{node.text}`"
        case Listing():
            return "a list"
        case Table():
            return "a map"


def _keys_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """List the keys that the type knows at a location in it."""
    models = {model}
    for step in location:
        annotations = [
            field.annotation
            for each in models
            for name, field in each.model_fields.items()
            if step in (name, field.alias)
        ]
        if annotations:
            models = {found for each in annotations for found in _models_in(each)}
    return [field.alias or name for each in models for name, field in each.model_fields.items()]


def _models_in(annotation: object) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {found for each in get_args(annotation) for found in _models_in(each)}

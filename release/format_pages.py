# SPDX-License-Identifier: GPL-3.0-or-later
"""Man pages of the formats, from the JSON Schema that the types themselves give."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import roff

from gnoppix_build import __version__
from gnoppix_build.profile.model import Profile
from gnoppix_build.resolve.schema import component_schema

PROJECT = Path(__file__).parents[1]
RELEASE = f"gnoppix-build {__version__}"
MANUAL = "File Formats"
BASICS = """
A file is YAML with fewer freedoms: no anchors, no tags, no key twice, no list of documents. What a
value means follows from the key, not from its looks: `no`, `22:22` and `1.10` are never turned
into something else.
"""
PROFILE = """
A profile says what a system is made of: components, each with its options. `build-image new`
writes one to start from, `build-image validate` finds its mistakes, and `build-image explain`
tells what it decides. `build-image catalog` lists the components and what options each has;
`build-image schema` prints all of it as JSON Schema, for editors.

With `extends`, maps merge by key and lists append. A map with `replace` or `remove` in place of a
list says otherwise, and `off` takes out a component that was inherited. A single value that two
unrelated profiles set is a mistake unless the profile itself sets it.
"""
COMPONENT = """
A component is a folder: `component.yaml`, which this page describes; `files`, whose paths are
those of the system, where a name that ends with `.j2` is a template; and, if it has them,
`tasks/main.yml` for Ansible, `check_NAME.py` with checks of a finished system, `cases` that show
files for options, and `README.md`. Folders of your own are given with `--components`.
"""
Schema = Mapping[str, Any]
WHOLE = re.compile(r"\^(\(\?:)?(?P<form>.*)(?(1)\))\$")
BARE = r"\g<form>"


def format_pages() -> Iterator[tuple[str, str]]:
    """Give each page: file name, text."""
    profile = (PROJECT / "profiles/minimal.yaml").read_text()
    component = (PROJECT / "gnoppix_build/components/time/component.yaml").read_text()
    yield _page(
        "gnoppix-profile", "a system, as components", PROFILE, Profile.model_json_schema(), profile
    )
    yield _page("gnoppix-component", "a part of a system", COMPONENT, component_schema(), component)


def _page(name: str, summary: str, text: str, schema: Schema, example: str) -> tuple[str, str]:
    parts = (
        roff.heading("NAME", roff.name_line(name, summary)),
        roff.heading("DESCRIPTION", roff.paragraphs(f"{text}\n{BASICS}")),
        roff.heading("KEYS", _keys(schema)),
        roff.heading("PARTS", *(_part(each, of) for each, of in sorted(schema["$defs"].items()))),
        roff.heading("EXAMPLE", roff.example(example)),
        roff.heading("SEE ALSO", roff.paragraphs("build-image(1), build-image-validate(1)")),
    )
    return f"{name}.5", roff.page(name, 5, RELEASE, MANUAL, parts)


def _part(name: str, schema: Schema) -> str:
    described = schema.get("description", "")
    return roff.subheading(name, roff.paragraphs(_kebab(described)), _keys(schema))


def _kebab(text: str) -> str:
    """Write keys as files do: a description names them as Python does."""
    pieces = roff.CODE.split(text)
    return "".join(
        f"`{piece.replace('_', '-')}`" if number % 2 else piece
        for number, piece in enumerate(pieces)
    )


def _keys(schema: Schema) -> str:
    required = schema.get("required", ())
    return roff.terms(
        [
            (name, _describe(each, is_required=name in required))
            for name, each in schema.get("properties", {}).items()
        ]
    )


def _describe(schema: Schema, *, is_required: bool) -> str:
    default = schema.get("default")
    notes = [_type(schema)]
    if is_required:
        notes.append("required")
    elif default:
        notes.append(f"default `{default if isinstance(default, str) else json.dumps(default)}`")
    described = _kebab(schema.get("description", ""))
    return f"{described} ({'; '.join(notes)})" if described else "; ".join(notes)


def _type(schema: Schema) -> str:
    """Say in words what a value may be."""
    match schema:
        case {"$ref": reference}:
            return f"a map, see {reference.rpartition('/')[2]}"
        case {"const": value}:
            return f"`{value}`"
        case {"enum": values}:
            return _any([f"`{_spell(value)}`" for value in values])
        case {"anyOf": forms} | {"oneOf": forms}:
            return _any([_type(form) for form in forms if form.get("type") != "null"])
        case {"type": "array", "items": items}:
            return f"a list, each {_type(items)}"
        case {"type": "object"}:
            return f"a map, each value {_type(_values(schema))}"
        case _:
            return _leaf(schema)


def _leaf(schema: Schema) -> str:
    match schema:
        case {"type": "integer"}:
            return "a whole number"
        case {"type": "boolean"}:
            return "`on` or `off`"
        case {"type": "string", "pattern": pattern}:
            return f"a text of the form `{WHOLE.sub(BARE, pattern)}`"
        case _:
            return "a text"


def _values(schema: Schema) -> Schema:
    """Give what the values of a map are."""
    forms = [*schema.get("patternProperties", {}).values()]
    if isinstance(schema.get("additionalProperties"), Mapping):
        forms.append(schema["additionalProperties"])
    return forms[0] if forms else {}


def _spell(value: object) -> str:
    return "off" if value is False else str(value)


def _any(forms: Sequence[str]) -> str:
    return " or ".join(dict.fromkeys(forms))

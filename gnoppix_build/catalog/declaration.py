# SPDX-License-Identifier: GPL-3.0-or-later
"""What all parts of a manifest have in common: closed types, conditions, values from options."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Tag

from gnoppix_build.language.leaves import (
    Commit,
    Count,
    IpAddress,
    IpNetwork,
    KebabName,
    Line,
    Port,
    Sha256,
)


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class Declaration(BaseModel):
    """A part of a manifest: closed, frozen, kebab-case keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=_kebab,
        populate_by_name=True,
    )


class Feature(Declaration):
    """An ability of the whole system, such as `user-namespaces`, and what it is to a component."""

    name: KebabName
    because: Line


class FromOption(Declaration):
    """A value that one of the component's own options decides."""

    option: str


Condition = dict[str, tuple[str, ...]]
"""Option name -> the values (as written) with which the declaration holds; empty: always."""


def _source(value: object) -> str:
    return "option" if isinstance(value, dict | FromOption) else "literal"


def _or_option(literal: Any) -> Any:  # noqa: ANN401 - an annotation
    return Annotated[
        Annotated[literal, Tag("literal")] | Annotated[FromOption, Tag("option")],
        Discriminator(_source),
    ]


PortSource = _or_option(Port)
AddressSource = _or_option(IpAddress)
CountSource = _or_option(Count)
Sha256Source = _or_option(Sha256)
CommitSource = _or_option(Commit)
NetworkSource = _or_option(IpNetwork)

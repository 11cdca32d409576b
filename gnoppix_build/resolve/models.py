# SPDX-License-Identifier: GPL-3.0-or-later
"""The language models of a profile, with what options decide of them, and whether they fit."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gnoppix_build.catalog.declaration import FromOption
from gnoppix_build.catalog.model import HubFile, Model, ModelSource, Need, need
from gnoppix_build.resolve.model import ResolvedComponent

CONTEXT_OPTION: Final = "context"
MODEL_PLACEHOLDER: Final = "{model}"
"""Stands in a path for the name of each model of the profile."""


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """A model of the profile; its source names one commit, `size` is that of its file in bytes.

    `context` is the number of tokens that an instance of it keeps: the component's option of that
    name, or all that it was trained for.
    """

    component: ResolvedComponent
    declaration: Model
    source: ModelSource
    size: int
    sha256: str
    context: int

    @property
    def name(self) -> str:
        """Give the name of its component."""
        return self.component.name

    @property
    def need(self) -> Need:
        """Tell the memory that one instance of it takes."""
        return need(self.declaration, self.size, self.context)


def find_models(components: Iterable[ResolvedComponent]) -> Iterator[ChosenModel]:
    """Give the models among the components, in their order."""
    for component in components:
        if (model := component.manifest.model) is not None:
            yield ChosenModel(
                component=component,
                declaration=model,
                source=_decide_source(component, model.source),
                size=_number(component, model.bytes),
                sha256=_text(component, model.sha256),
                context=_number(component, component.options.get(CONTEXT_OPTION, model.context)),
            )


def _decide_source(component: ResolvedComponent, source: ModelSource) -> ModelSource:
    if isinstance(source, HubFile):
        return source.model_copy(update={"commit": _text(component, source.commit)})
    return source


def _number(component: ResolvedComponent, source: object) -> int:
    value = component.options[source.option] if isinstance(source, FromOption) else source
    assert isinstance(value, int), component.name
    return value


def _text(component: ResolvedComponent, source: object) -> str:
    value = component.options[source.option] if isinstance(source, FromOption) else source
    assert isinstance(value, str), component.name
    return value

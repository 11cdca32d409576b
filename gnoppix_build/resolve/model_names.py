# SPDX-License-Identifier: GPL-3.0-or-later
"""A runtime has a model to serve, and options that name models name those of the profile."""

from collections.abc import Iterator, Sequence

from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.suggestion import did_you_mean
from gnoppix_build.resolve.model import ResolvedComponent
from gnoppix_build.resolve.models import MODEL_PLACEHOLDER, find_models
from gnoppix_build.resolve.selection import Selection


def check_model_names(selection: Selection) -> Iterator[Diagnostic]:
    """Find runtimes without a model, and names of models that the profile does not have."""
    models = sorted(model.name for model in find_models(selection.components))
    for component in selection.components:
        paths = [each.path for each in component.manifest.sockets]
        if not models and any(MODEL_PLACEHOLDER in path for path in paths):
            yield Diagnostic(
                "no-model",
                f"`{component.name}` has no language model to serve",
                component.place,
                (),
                "add one under `components:`; `build-image catalog` lists them",
            )
        for name, option in component.manifest.options.items():
            if models and option.of == "models":
                yield from _check_option(component, name, models)


def _check_option(
    component: ResolvedComponent, name: str, models: Sequence[str]
) -> Iterator[Diagnostic]:
    value = component.options[name]
    for each in value if isinstance(value, tuple) else (value,):
        if each and each not in models:
            yield Diagnostic(
                "unknown-model",
                f"`{name}` of `{component.name}` names `{each}`, which is no model of the profile",
                component.place_of(name) or component.place,
                (),
                did_you_mean(str(each), models),
            )

# SPDX-License-Identifier: GPL-3.0-or-later
"""Which models a machine can hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gnoppix_build.catalog.manifest import Manifest
from gnoppix_build.catalog.model import MIB, Model, Need, need

SYSTEM_MEMORY: Final = 512 * MIB
"""What a live system without a desktop is taken to need: its programs, and files in tmpfs."""
SHARE: Final = 60
"""Per cent of the free memory that a recommended model takes at most: the rest is for work."""
_TEST: Final = "test"


@dataclass(frozen=True, slots=True)
class Fit:
    """A model with the memory that it needs at its usual context in tokens.

    `is_chosen`: it is the largest of its purpose that fits.
    """

    name: str
    model: Model
    context: int
    need: Need
    fits: bool
    is_chosen: bool


def budget_of(memory: int) -> int:
    """Tell the bytes that models may take on a machine with so much memory."""
    return max(0, memory - SYSTEM_MEMORY) * SHARE // 100


def fit_models(manifests: Mapping[str, Manifest], memory: int) -> tuple[Fit, ...]:
    """Judge each model among the components, the smallest first."""
    budget = budget_of(memory)
    judged: list[tuple[str, Model, int, Need]] = []
    for name, manifest in manifests.items():
        if (model := manifest.model) is not None:
            context = _usual_context(manifest, model)
            judged.append((name, model, context, need(model, model.file_size, context)))
    judged.sort(key=lambda each: (each[3].total, each[0]))
    chosen = _largest_by_purpose(
        (name, model) for name, model, _, needed in judged if needed.total <= budget
    )
    return tuple(
        Fit(name, model, context, needed, needed.total <= budget, name in chosen)
        for name, model, context, needed in judged
    )


def _usual_context(manifest: Manifest, model: Model) -> int:
    """Give the default of the option by which a profile changes the context."""
    option = manifest.options.get("context")
    default = option.default if option else None
    return int(default) if isinstance(default, str) else model.context


def _largest_by_purpose(fitting: Iterable[tuple[str, Model]]) -> set[str]:
    """Give the last of each purpose; models for tests are not for people."""
    return set({model.purpose: name for name, model in fitting if model.purpose != _TEST}.values())

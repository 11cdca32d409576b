# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the least machine of a profile holds its models."""

from collections.abc import Iterator, Sequence

from gnoppix_build.catalog.fit import SYSTEM_MEMORY
from gnoppix_build.catalog.model import GIB, spell_need, spell_size
from gnoppix_build.diagnostics import Diagnostic, Note
from gnoppix_build.language.node import span_of
from gnoppix_build.resolve.inherit import Member
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.models import CONTEXT_OPTION, find_models
from gnoppix_build.resolve.selection import Selection


def check_memory(resolved: Resolved, members: Sequence[Member]) -> Iterator[Diagnostic]:
    """Find a machine too small for an instance of each model at once, and for the system.

    A profile that declares no machine is not judged.
    """
    models = tuple(find_models(resolved.components))
    if resolved.memory is None or not models:
        return
    total = sum(model.need.total for model in models)
    if total + SYSTEM_MEMORY <= resolved.memory:
        return
    place = next(
        span_of(member.root, ("machine", "memory"))
        for member in reversed(members)
        if member.profile.machine.memory is not None
    )
    notes = tuple(
        Note(
            f"`{model.name}` with {model.context} tokens takes {spell_need(model.need)}",
            model.component.place_of(CONTEXT_OPTION) or model.component.place,
        )
        for model in models
    )
    yield Diagnostic(
        "memory-too-small",
        f"{spell_size(resolved.memory)} of memory are too little for the models, which take "
        f"{spell_size(total)}, and the system, for which {spell_size(SYSTEM_MEMORY)} are assumed",
        place,
        notes,
        f"say `memory: {-(-(total + SYSTEM_MEMORY) // GIB)} GiB`, or take a smaller model or "
        f"`{CONTEXT_OPTION}`",
    )


def check_contexts(selection: Selection) -> Iterator[Diagnostic]:
    """Find models that are to keep more tokens than they were trained for, or none."""
    for model in find_models(selection.components):
        if not 1 <= model.context <= model.declaration.context:
            yield Diagnostic(
                "context-out-of-range",
                f"`{model.name}` keeps 1 to {model.declaration.context} tokens, not "
                f"{model.context}",
                model.component.place_of(CONTEXT_OPTION) or model.component.place,
            )

# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of one component that cannot hold together, as its own manifest says."""

from collections.abc import Iterator

from gnoppix_build.catalog.manifest import Refusal
from gnoppix_build.diagnostics import Diagnostic, Note, Span
from gnoppix_build.language.node import span_of
from gnoppix_build.resolve.model import ResolvedComponent, spell
from gnoppix_build.resolve.selection import Selection


def check_refusals(selection: Selection) -> Iterator[Diagnostic]:
    """Find components whose options are a combination that they refuse."""
    for component in selection.components:
        for index, refusal in enumerate(component.manifest.refuses):
            is_excepted = bool(refusal.unless) and component.holds(refusal.unless)
            if component.holds(refusal.when) and not is_excepted:
                yield _tell(component, refusal, index)


def _tell(component: ResolvedComponent, refusal: Refusal, index: int) -> Diagnostic:
    options = (*refusal.when, *refusal.unless)
    set_options = [
        (place, f"`{option}` is set here")
        for option in options
        if (place := component.place_of(option))
    ]
    defaults = [
        (_default_place(component, option), f"`{option}` has its default")
        for option in options
        if component.place_of(option) is None
    ]
    asked = [(component.place, f"`{component.name}` is asked for here")]
    (place, _), *others = [*sorted(set_options), *([] if set_options else asked), *defaults]
    reason = Note(refusal.because, span_of(component.root, ("refuses", index, "because")))
    notes = (*(Note(text, span) for span, text in others), reason)
    settings = [f"`{option}: {_spell(component, option)}`" for option in options]
    message = f"`{component.name}` cannot have {' with '.join(settings)}"
    return Diagnostic("options-refused", message, place, notes, refusal.hint)


def _spell(component: ResolvedComponent, option: str) -> str:
    return spell(component.options[option]) or "[]"


def _default_place(component: ResolvedComponent, option: str) -> Span:
    return span_of(component.root, ("options", option, "default"))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts of an option that begin with a word which another option of the component has to have."""

from collections.abc import Iterator

from gnoppix_build.catalog.manifest import FirstWord
from gnoppix_build.diagnostics import Diagnostic, Note
from gnoppix_build.language.node import span_of
from gnoppix_build.language.suggestion import did_you_mean
from gnoppix_build.resolve.model import ResolvedComponent
from gnoppix_build.resolve.selection import Selection


def check_first_words(selection: Selection) -> Iterator[Diagnostic]:
    """Find texts whose first word is none of those that their component's manifest names."""
    for component in selection.components:
        for index, rule in enumerate(component.manifest.first_words):
            if component.holds(rule.when):
                known = _first_words(component, rule.of)
                for word in dict.fromkeys(_first_words(component, rule.option)):
                    if word not in known:
                        yield _tell(component, rule, index, word, known)


def _first_words(component: ResolvedComponent, option: str) -> list[str]:
    value = component.options[option]
    texts = value if isinstance(value, tuple) else (value,)
    return [str(text).partition(" ")[0] for text in texts]


def _tell(
    component: ResolvedComponent, rule: FirstWord, index: int, word: str, known: list[str]
) -> Diagnostic:
    other = component.place_of(rule.of)
    decided = (
        Note(f"`{rule.of}` is set here", other)
        if other
        else Note(
            f"`{rule.of}` has its default", span_of(component.root, ("options", rule.of, "default"))
        )
    )
    reason = Note(rule.because, span_of(component.root, ("first-words", index, "because")))
    return Diagnostic(
        "word-unknown",
        f"`{rule.option}` of `{component.name}` names `{word}`, which is not in its `{rule.of}`",
        component.place_of(rule.option) or component.place,
        (decided, reason),
        did_you_mean(word, known) or f"change `{rule.of}`, or take it out of `{rule.option}`",
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of options as a whole, merged from every profile: too short, or with a name twice."""

from collections import Counter
from collections.abc import Iterable, Iterator

from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.node import span_of
from gnoppix_build.resolve.model import ResolvedComponent
from gnoppix_build.resolve.selection import Selection


def check_lists(selection: Selection) -> Iterator[Diagnostic]:
    """Find lists that have fewer values than their option wants, or give two of them one name."""
    for component in selection.components:
        for name, option in component.manifest.options.items():
            value = component.options[name]
            if not isinstance(value, tuple):
                continue
            if option.fewest is not None and len(value) < option.fewest:
                yield _tell_few(component, name, len(value), option.fewest)
            entries = [str(text).split(" ") for text in value]
            if option.is_keyed:
                for word in _repeated(entry[0] for entry in entries):
                    message = f"`{name}` of `{component.name}` has two entries `{word}`"
                    hint = "give one of them another name, or make one entry of both"
                    yield _tell_twice(component, name, message, hint)
            if option.distinct_after is not None:
                for word in _repeated(
                    w for entry in entries for w in entry[option.distinct_after :]
                ):
                    message = f"`{name}` of `{component.name}` names `{word}` twice"
                    yield _tell_twice(component, name, message, "take one of them out")


def _repeated(words: Iterable[str]) -> list[str]:
    return [word for word, count in Counter(words).items() if count > 1]


def _tell_few(component: ResolvedComponent, option: str, found: int, fewest: int) -> Diagnostic:
    place = component.place_of(option) or span_of(component.root, ("options", option, "default"))
    few = f"has {found} different values" if found > 1 else "has one value" if found else "is empty"
    message = f"`{option}` of `{component.name}` {few}, and needs {fewest} at least"
    example = ", ".join(component.manifest.options[option].example)
    return Diagnostic("too-few", message, place, (), f"write it as in `{option}: [{example}]`")


def _tell_twice(component: ResolvedComponent, option: str, message: str, hint: str) -> Diagnostic:
    place = component.place_of(option) or component.place
    return Diagnostic("word-twice", message, place, (), hint)

# SPDX-License-Identifier: GPL-3.0-or-later
"""How components depend on and exclude each other, and the order that follows."""

from collections.abc import Iterator, Mapping
from heapq import heapify, heappop, heappush

from gnoppix_build.catalog.load import Catalog
from gnoppix_build.diagnostics import Diagnostic, Note, Span
from gnoppix_build.language.node import span_of
from gnoppix_build.resolve.model import ResolvedComponent

Components = Mapping[str, ResolvedComponent]


def check_requirements(
    kept: Components, asked: Components, places: Mapping[str, Span], catalog: Catalog
) -> Iterator[Diagnostic]:
    """Find what a kept component requires and nobody asked for.

    What was asked for and left out for the target still counts: the target has it of its own.
    """
    given = {thing for each in asked.values() for thing in each.offers}
    for name, component in kept.items():
        for index, wanted in enumerate(component.manifest.requires):
            if wanted in given:
                continue
            providers = sorted(
                each.name
                for each in catalog.components.values()
                if wanted == each.name or wanted in each.manifest.provides
            )
            choices = " or ".join(f"`{each}: {{}}`" for each in providers)
            yield Diagnostic(
                "missing-requirement",
                f"`{name}` requires `{wanted}`, which the profile does not have",
                places[name],
                (
                    Note(
                        f"`{name}` requires it here",
                        span_of(component.root, ("requires", index)),
                    ),
                ),
                f"add {choices} under `components:`" if providers else f"drop `{name}`",
            )


def check_conflicts(kept: Components, places: Mapping[str, Span]) -> Iterator[Diagnostic]:
    """Find pairs of components of which one excludes the other."""
    seen: set[frozenset[str]] = set()
    for name, component in sorted(kept.items()):
        for index, excluded in enumerate(component.manifest.conflicts):
            for other in sorted(kept):
                pair = frozenset((name, other))
                if other == name or pair in seen or excluded not in kept[other].offers:
                    continue
                seen.add(pair)
                yield Diagnostic(
                    "component-conflict",
                    f"`{name}` and `{other}` exclude each other",
                    places[name],
                    (
                        Note(f"`{other}` is asked for here", places[other]),
                        Note(
                            f"`{name}` excludes it here",
                            span_of(component.root, ("conflicts", index)),
                        ),
                    ),
                    f"take out `{name}` or `{other}`",
                )


def order_components(
    kept: Components, places: Mapping[str, Span]
) -> tuple[tuple[ResolvedComponent, ...], tuple[Diagnostic, ...]]:
    """Order components by what they require, then by name."""
    waits = {name: _needs(name, kept) for name in kept}
    ready = [name for name, needs in waits.items() if not needs]
    heapify(ready)
    ordered: list[ResolvedComponent] = []
    while ready:
        name = heappop(ready)
        ordered.append(kept[name])
        for other, needs in waits.items():
            if name in needs:
                needs.remove(name)
                if not needs:
                    heappush(ready, other)
    stuck = sorted(name for name, needs in waits.items() if needs)
    if not stuck:
        return tuple(ordered), ()
    names = ", ".join(f"`{name}`" for name in stuck)
    message = f"these components require each other in a circle: {names}"
    return tuple(ordered), (Diagnostic("requires-cycle", message, places[stuck[0]]),)


def _needs(name: str, kept: Components) -> set[str]:
    required = set(kept[name].manifest.requires)
    return {other for other in kept if other != name and required & kept[other].offers}

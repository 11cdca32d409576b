# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of the whole system that one side needs and another ends, as features.yaml tells.

What packages depend on is not known before apt has resolved them: only those are looked at that a
profile or a component names.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Final, Literal

from gnoppix_build.catalog.features import CataloguedFeature, Dependents, Endings, Settings
from gnoppix_build.catalog.manifest import Contribution
from gnoppix_build.catalog.network import EVERYONE, DirectEgress
from gnoppix_build.diagnostics import Diagnostic, Note
from gnoppix_build.language.node import span_of
from gnoppix_build.resolve.kernel import module_name
from gnoppix_build.resolve.model import ResolvedComponent
from gnoppix_build.resolve.parties import (
    Party,
    make_party,
    merge_parties,
    named,
    tell,
    verb,
    ways_out,
)
from gnoppix_build.resolve.selection import Selection
from gnoppix_build.resolve.sysctl import KernelSetting, meaning_of, settings_at
from gnoppix_build.resolve.ways import components_beneath

List = Literal["packages", "kernel-modules", "blocked-modules", "kernel-arguments", "tunnels"]
_LISTS: Final[Mapping[List, Callable[[Contribution], tuple[str, ...]]]] = {
    "packages": lambda brought: brought.packages,
    "kernel-modules": lambda brought: brought.kernel_modules,
    "blocked-modules": lambda brought: brought.blocked_modules,
    "kernel-arguments": lambda brought: brought.kernel_arguments,
    "tunnels": lambda brought: brought.tunnels,
}


def check_features(selection: Selection) -> Iterator[Diagnostic]:
    """Find features that are needed and are ended, or that nothing gives."""
    for feature in selection.catalog.features.values():
        needing = merge_parties(needing_parties(feature, selection))
        if not needing:
            continue
        ending = merge_parties(_ending(feature, selection))
        if ending and not _is_saved(feature, selection):
            yield tell_ended(feature, ending, needing, ways_out((ending, needing)))
        silent = [each for each in needing if not _declares(each, feature, selection)]
        refusing = merge_parties(_refusing(feature, selection))
        if silent and refusing:
            way_out = f"declare in `egress:` who may send it, or {ways_out([silent])}"
            yield tell_ended(feature, refusing, silent, way_out)
        givers = {*feature.feature.given_by}
        if givers and not any(givers & each.offers for each in selection.components):
            yield from _tell_absent(feature, needing, selection)


def tell_ended(
    feature: CataloguedFeature, ending: list[Party], needing: list[Party], way_out: str
) -> Diagnostic:
    """Tell that these sides end a feature which those need."""
    message = (
        f"{named(ending)} {verb(ending, 'takes', 'take')} away `{feature.name}`, "
        f"which {named(needing)} {verb(needing, 'needs', 'need')}"
    )
    parties = explained(feature, [*ending, *needing])
    hint = feature.feature.hint or way_out
    return tell("feature-taken-away", message, parties, hint)


def _tell_absent(
    feature: CataloguedFeature, needing: list[Party], selection: Selection
) -> Iterator[Diagnostic]:
    """Tell of what needs it, but not of components that require it: that is told already."""
    givers = set(feature.feature.given_by)
    able = [
        each.name
        for each in selection.catalog.components.values()
        if givers & {each.name, *each.manifest.provides}
    ]
    required = {*givers, *able}
    aware = {each.name for each in selection.components if required & {*each.manifest.requires}}
    unaware = [each for each in needing if each.name not in aware]
    if not unaware:
        return
    message = (
        f"{named(unaware)} {verb(unaware, 'needs', 'need')} `{feature.name}`, "
        "which nothing in the profile gives"
    )
    choices = " or ".join(f"`{name}: {{}}`" for name in able)
    hint = f"add {choices} under `components:`" if able else ways_out([unaware])
    yield tell("feature-absent", message, explained(feature, unaware), hint)


def explained(feature: CataloguedFeature, parties: list[Party]) -> list[Party]:
    """Let the last side also tell what the feature is."""
    *most, last = parties
    place = span_of(feature.node, ("summary",))
    meaning = Note(f"`{feature.name}`: {feature.feature.summary}", place)
    return [*most, replace(last, facts=(*last.facts, meaning))]


def needing_parties(feature: CataloguedFeature, selection: Selection) -> Iterator[Party]:
    """Give the sides that need a feature, by their own word or as its file tells."""
    for component in selection.components:
        for part in component.parts:
            for index, need in enumerate(part.contribution.needs):
                if need.name == feature.name:
                    path = (*part.path, "needs", index)
                    fact = f"`{component.name}` needs it: {need.because}"
                    yield make_party(component, path, fact, part.when)
    for index, dependents in enumerate(feature.feature.needed_by):
        place = span_of(feature.node, ("needed-by", index, "because"))
        for what, party in _dependent(dependents, selection):
            reason = Note(f"{what} needs it: {dependents.because}", place)
            yield replace(party, facts=(*party.facts, reason))


def _dependent(dependents: Dependents, selection: Selection) -> Iterator[tuple[str, Party]]:
    """Find what is meant, in words, and the side that brings it."""
    yield from bringers_of(dependents.packages, selection)
    for component in selection.components:
        yield from _brought(component, "kernel-modules", dependents.kernel_modules)
        yield from _brought(component, "tunnels", dependents.tunnels)
        for index, egress in enumerate(component.manifest.egress):
            if (
                isinstance(egress, DirectEgress)
                and component.sends(egress)
                and egress.protocol in dependents.egress
            ):
                protocol = egress.protocol.upper()
                fact = f"`{component.name}` sends {protocol} to the network here"
                yield protocol, make_party(component, ("egress", index), fact, egress.when)


def bringers_of(patterns: tuple[str, ...], selection: Selection) -> Iterator[tuple[str, Party]]:
    """Give each package that is meant, and who brings it: the profile or a component."""
    for name, place in selection.packages.items():
        if _matches(name, patterns):
            yield f"`{name}`", Party(name, place, f"`{name}` is asked for here")
    for component in selection.components:
        yield from _brought(component, "packages", patterns)


def _ending(feature: CataloguedFeature, selection: Selection) -> Iterator[Party]:
    ended_by = feature.feature.ended_by
    beneath = components_beneath(selection.components)
    for _, party in bringers_of(ended_by.packages, selection):
        yield party
    for component in selection.components:
        yield from _taking(feature.name, component)
        yield from _setting(ended_by, component)
        yield from _leaving(feature, component, beneath)
        for index, redirect in enumerate(component.manifest.redirects):
            if component.holds(redirect.when) and redirect.traffic in ended_by.redirects:
                fact = f"`{component.name}` leads all {redirect.traffic} traffic to itself here"
                yield make_party(component, ("redirects", index), fact, redirect.when)


def _leaving(
    feature: CataloguedFeature, component: ResolvedComponent, beneath: frozenset[str]
) -> Iterator[Party]:
    """Find what a component sends that ends a feature; one that needs it does not end it."""
    needed = {need.name for each in component.contributions for need in each.needs}
    if feature.name in needed or component.name in beneath:
        return
    for index, egress in enumerate(component.manifest.egress):
        if (
            isinstance(egress, DirectEgress)
            and egress.protocol in feature.feature.ended_by.egress
            and egress.namespace == "system"
            and component.sends(egress)
            and feature.name not in {each.name for each in egress.spares}
        ):
            sent = f"{egress.protocol.upper()} to the network"
            fact = f"`{component.name}` lets `{egress.user}` send {sent} here"
            yield make_party(component, ("egress", index), fact, egress.when)


def _refusing(feature: CataloguedFeature, selection: Selection) -> Iterator[Party]:
    """Find components that refuse what nobody declared, where that ends a feature."""
    for component in selection.components:
        if {*feature.feature.ended_by.undeclared} & component.offers:
            fact = f"`{component.name}` refuses what no `egress:` declares"
            provided = ("provides",) if component.manifest.provides else ()
            yield make_party(component, provided, fact, {})


def _declares(party: Party, feature: CataloguedFeature, selection: Selection) -> bool:
    """Tell whether a side, or everyone, has a direct egress that such a refusal lets be."""
    protocols = {
        each for several in feature.feature.ended_by.undeclared.values() for each in several
    }
    return any(
        isinstance(egress, DirectEgress)
        and egress.protocol in protocols
        and component.sends(egress)
        and (component.name == party.name or egress.user == EVERYONE)
        for component in selection.components
        for egress in component.manifest.egress
    )


def _taking(name: str, component: ResolvedComponent) -> Iterator[Party]:
    """Find where a component says that it takes a feature away."""
    for part in component.parts:
        for index, taken in enumerate(part.contribution.takes_away):
            if taken.name == name:
                path = (*part.path, "takes-away", index)
                fact = f"`{component.name}` takes it away: {taken.because}"
                yield make_party(component, path, fact, part.when)


def _setting(ended_by: Endings, component: ResolvedComponent) -> Iterator[Party]:
    """Find what a component sets in the kernel that ends a feature."""
    for _, party in _brought(component, "kernel-arguments", ended_by.kernel_arguments):
        yield party
    for _, party in _brought(component, "blocked-modules", ended_by.blocked_modules):
        yield party
    for each in _set_to(ended_by.sysctl, component):
        fact = f"`{component.name}` sets `{each.name}` to `{each.value}` here"
        yield make_party(component, each.path, fact, each.part.when)


def _is_saved(feature: CataloguedFeature, selection: Selection) -> bool:
    saved_by = feature.feature.saved_by.sysctl
    return any(any(_set_to(saved_by, each)) for each in selection.components)


def _set_to(settings: Settings, component: ResolvedComponent) -> Iterator[KernelSetting]:
    """Find what a component sets that is among the values that are meant."""
    for key, values in settings.items():
        meant = {meaning_of(value) for value in values}
        for each in settings_at(component, key):
            if meaning_of(each.value) in meant:
                yield each


def _brought(
    component: ResolvedComponent, key: List, patterns: tuple[str, ...]
) -> Iterator[tuple[str, Party]]:
    """Find what a component's lists under this key of its manifest hold that is meant."""
    for part in component.parts:
        for index, name in enumerate(_LISTS[key](part.contribution)):
            if _matches(name, patterns):
                fact = f"`{component.name}` brings `{name}` here"
                path = (*part.path, key, index)
                yield f"`{name}`", make_party(component, path, fact, part.when)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    """Compare as modprobe(8) does, to which `-` and `_` are the same; no package's name has `_`."""
    return any(fnmatchcase(module_name(name), module_name(each)) for each in patterns)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Abilities of a whole system: what ends each, what needs it, what gives it; data, not code."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from gnoppix_build.catalog.declaration import Declaration, Feature
from gnoppix_build.catalog.manifest import Contribution, Manifest
from gnoppix_build.catalog.network import DirectEgress
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.leaves import KebabName, Line, Port, SysctlKey, UnitSetting, matching
from gnoppix_build.language.node import Node, Path, span_of
from gnoppix_build.language.suggestion import did_you_mean

FEATURES_FILE: Final = "features.yaml"

_PATTERN_MARKS = matching(
    "[A-Za-z0-9*][A-Za-z0-9*.,_=+-]*", "not-a-glob", "a name or a pattern with `*`"
)
Pattern = Annotated[str, _PATTERN_MARKS[0], _PATTERN_MARKS[1]]
Settings = dict[SysctlKey, tuple[Line, ...]]
"""Kernel setting -> the values that are meant."""


class Dependents(Declaration):
    """Things that need a feature, all for one reason; `*` in a pattern stands for any text.

    `tunnels` lists interfaces that a component makes, `egress` protocols that it sends by to the
    network itself, and `listens` ports that it has a listener at; these it has to itself but for
    packages of its own.
    """

    packages: tuple[Pattern, ...] = ()
    kernel_modules: tuple[Pattern, ...] = ()
    tunnels: tuple[Pattern, ...] = ()
    egress: tuple[Literal["tcp", "udp"], ...] = ()
    listens: tuple[Port, ...] = ()
    because: Line


class Endings(Declaration):
    """What ends a feature, whether or not the component that brings it says so.

    `egress` lists protocols that a component which does not need the feature sends by, to the
    network itself and from the namespace of programs. `redirects` lists traffic that a component
    leads to itself. `sandbox` names settings that the sandbox of a unit has unless they are
    relaxed; these end it for that unit only. `ways` lists components, or things that they provide,
    which end it for those that send their users through them. `undeclared` maps what a component
    provides to protocols: it ends the feature for whoever declares no direct egress by one of them.
    """

    packages: tuple[Pattern, ...] = ()
    kernel_arguments: tuple[Pattern, ...] = ()
    blocked_modules: tuple[Pattern, ...] = ()
    egress: tuple[Literal["tcp", "udp"], ...] = ()
    redirects: tuple[Literal["tcp", "dns"], ...] = ()
    sandbox: tuple[UnitSetting, ...] = ()
    ways: tuple[KebabName, ...] = ()
    undeclared: dict[KebabName, tuple[Literal["tcp", "udp"], ...]] = Field(default_factory=dict)
    sysctl: Settings = Field(default_factory=dict)


class Savings(Declaration):
    """Settings with which the end of a feature does no harm."""

    sysctl: Settings = Field(default_factory=dict)


class SystemFeature(Declaration):
    """An ability of the whole system, such as `user-namespaces`.

    `given_by` lists components, or things that they provide, one of which has to be there before
    the feature is. `hint` is said instead of a way out that can be told from the conflict.
    """

    summary: Line
    given_by: tuple[KebabName, ...] = ()
    ended_by: Endings = Field(default_factory=Endings)
    needed_by: tuple[Dependents, ...] = ()
    saved_by: Savings = Field(default_factory=Savings)
    hint: Line | None = None


class FeatureFile(Declaration):
    """A file of features, which lies beside the components."""

    features: dict[KebabName, SystemFeature]


@dataclass(frozen=True, slots=True)
class CataloguedFeature:
    """A feature as it stands in its file; `node` is its part of the file's tree."""

    name: str
    feature: SystemFeature
    node: Node


Features = Mapping[str, CataloguedFeature]


def check_feature_names(
    manifests: Iterable[tuple[Node, Manifest]], features: Features
) -> Iterator[Diagnostic]:
    """Find features that a manifest speaks of, here with its tree, and no file describes."""
    for root, manifest in manifests:
        for path, words in _spoken(manifest):
            for index, word in enumerate(words):
                if word.name not in features:
                    yield Diagnostic(
                        "unknown-feature",
                        f"there is no feature `{word.name}`",
                        span_of(root, (*path, index, "name")),
                        (),
                        did_you_mean(word.name, features),
                    )


def _spoken(manifest: Manifest) -> Iterator[tuple[Path, tuple[Feature, ...]]]:
    """Give each list of features in a manifest, and where it stands."""
    parts: list[tuple[Path, Contribution]] = [((), manifest)]
    parts += [(("optional", index), each) for index, each in enumerate(manifest.optional)]
    for path, contribution in parts:
        yield (*path, "needs"), contribution.needs
        yield (*path, "takes-away"), contribution.takes_away
    for index, egress in enumerate(manifest.egress):
        if isinstance(egress, DirectEgress):
            yield ("egress", index, "spares"), egress.spares

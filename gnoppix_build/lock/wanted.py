# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages that a profile asks for, by the layer that they belong to, and its models."""

from collections.abc import Mapping
from dataclasses import dataclass

from gnoppix_build.catalog.private_root import PrivateRoot
from gnoppix_build.lock.model import Lock, LockedModel, LockedRoot
from gnoppix_build.resolve.model import Resolved, ResolvedComponent
from gnoppix_build.resolve.models import find_models


@dataclass(frozen=True, slots=True)
class Wanted:
    """Package names by layer, sorted, none in both."""

    base: tuple[str, ...]
    packages: tuple[str, ...]


def wanted_packages(resolved: Resolved) -> Wanted:
    """Collect what the components and the profile itself ask for."""
    base: set[str] = set()
    packages = set(resolved.packages)
    for component in resolved.components:
        (base if component.layer == "base" else packages).update(component_packages(component))
    return Wanted(tuple(sorted(base)), tuple(sorted(packages - base)))


def component_packages(component: ResolvedComponent) -> tuple[str, ...]:
    """List what a component asks for with the options that it has."""
    return tuple(name for each in component.contributions for name in each.packages)


def wanted_roots(resolved: Resolved) -> Mapping[str, PrivateRoot]:
    """Give the private root of each component that has one."""
    return {
        component.name: component.manifest.private_root
        for component in resolved.components
        if component.manifest.private_root is not None
    }


def wanted_models(resolved: Resolved) -> tuple[LockedModel, ...]:
    """Give the models, sorted by name: their manifests and options say all that a lock does."""
    models = sorted(find_models(resolved.components), key=lambda each: each.name)
    return tuple(LockedModel(each.name, each.size, each.sha256, each.source) for each in models)


def is_current(lock: Lock, resolved: Resolved, tools: tuple[str, ...]) -> bool:
    """Tell whether a lock was made for exactly what a profile asks for now."""
    wanted = wanted_packages(resolved)
    return (
        lock.base.wanted == wanted.base
        and lock.packages.wanted == wanted.packages
        and lock.models == wanted_models(resolved)
        and has_roots(lock, resolved, tools)
    )


def has_roots(lock: Lock, resolved: Resolved, tools: tuple[str, ...]) -> bool:
    """Tell whether a lock holds the private roots that a profile asks for, whatever else it has."""
    return (
        (lock.suite, lock.architecture) == (resolved.suite, resolved.architecture)
        and lock.tools.wanted == tools
        and {root.component: _asked(root) for root in lock.private_roots}
        == {name: (root.suite, {*root.packages}) for name, root in wanted_roots(resolved).items()}
    )


def _asked(root: LockedRoot) -> tuple[str, set[str]]:
    return root.suite, {package.name for package in root.packages}

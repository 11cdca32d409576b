# SPDX-License-Identifier: GPL-3.0-or-later
"""Payloads: the large files of components, which are no configuration and are never rendered."""

from collections.abc import Iterator

from gnoppix_build.catalog.model import path_of_model
from gnoppix_build.catalog.private_root import path_of_root
from gnoppix_build.resolve.model import ResolvedComponent


def payloads_of(component: ResolvedComponent) -> Iterator[str]:
    """Give the paths of a component's payloads on a system: its private root, or its model."""
    if component.manifest.private_root is not None:
        yield path_of_root(component.name)
    if component.manifest.model is not None:
        yield path_of_model(component.name)

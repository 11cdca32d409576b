# SPDX-License-Identifier: GPL-3.0-or-later
"""A rendered profile to numbered packages."""

from collections.abc import Mapping

from gnoppix_build.outputs.debs.compose import compose_packages
from gnoppix_build.outputs.debs.package import Numbered, Published, number_packages
from gnoppix_build.render.sources import ComponentReader
from gnoppix_build.render.tree import RenderedTree
from gnoppix_build.resolve.model import Resolved


def package_profile(
    resolved: Resolved,
    tree: RenderedTree,
    reader: ComponentReader,
    published: Mapping[str, Published],
    tool_version: str,
) -> tuple[Numbered, ...]:
    """Compose the packages; what is as it was published keeps its version."""
    return number_packages(compose_packages(resolved, tree, reader), published, tool_version)

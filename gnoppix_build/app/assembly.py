# SPDX-License-Identifier: GPL-3.0-or-later
"""From a resolved profile and a lock to the rendered tree and the plan."""

from pathlib import Path

from gnoppix_build.lock.model import Lock
from gnoppix_build.plan.make import ToolVersions, make_plan
from gnoppix_build.plan.steps import Plan
from gnoppix_build.render.render import render
from gnoppix_build.render.sources import ComponentReader
from gnoppix_build.render.tree import RenderedTree
from gnoppix_build.resolve.model import Resolved


def render_profile(
    resolved: Resolved, lock: Lock | None, playbooks: Path, reader: ComponentReader
) -> RenderedTree:
    """Render; `playbooks` is the folder of the static ones."""
    static = {file.path: file.content for file in reader.files_below(playbooks)}
    assert static, f"no playbooks below {playbooks}"
    return render(resolved, lock, static, reader)


def plan_profile(
    resolved: Resolved,
    lock: Lock,
    playbooks: Path,
    reader: ComponentReader,
    versions: ToolVersions,
) -> Plan:
    """Plan the steps that make the profile's image."""
    tree = render_profile(resolved, lock, playbooks, reader)
    return make_plan(tree, lock, resolved.compression, versions)

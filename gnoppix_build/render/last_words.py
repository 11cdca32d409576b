# SPDX-License-Identifier: GPL-3.0-or-later
"""A compiled sandbox has the last word on its unit; known after rendering, as paths are."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.policy.sandbox import DROP_IN, path_of_drop_in
from gnoppix_build.render.paths import party_of
from gnoppix_build.render.sources import ComponentReader
from gnoppix_build.render.tree import ImageFile
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.parties import Party, make_party, tell

_FILE: Final = re.compile(r"/.*/systemd/system/(?P<folder>[^/]+)\.d/(?P<name>[^/]+\.conf)")


def check_last_words(
    resolved: Resolved, files: Iterable[ImageFile], reader: ComponentReader
) -> Iterator[Diagnostic]:
    """Find drop-ins that systemd reads after the sandbox of a unit, or in its place."""
    sandboxes = dict(_sandboxes(resolved))
    compiled = {path_of_drop_in(unit) for unit in sandboxes}
    hint = (
        f"give it a name that sorts before `{DROP_IN}`; "
        "what a unit is to have beside its sandbox, `relaxes:` says"
    )
    for file in files:
        found = _FILE.fullmatch(file.path)
        if found is None or found["name"] < DROP_IN or file.path in compiled:
            continue
        for unit, party in sandboxes.items():
            if folder_holds(found["folder"], unit):
                message = f"the drop-in `{file.path}` would undo the sandbox of `{unit}`"
                parties = [party_of(file, resolved, reader), party]
                yield tell("sandbox-undone", message, parties, hint)


def folder_holds(folder: str, unit: str) -> bool:
    """Tell whether systemd reads drop-ins of `folder` (without `.d`) for a unit, or an instance.

    Source: systemd.unit(5): a template's instances have folders of their own, a folder whose name
    ends in a dash is that of all units with this prefix, and one of a type that of all of it.
    """
    name, _, kind = unit.rpartition(".")
    prefix, at, _ = name.partition("@")
    folder_name, _, folder_kind = folder.rpartition(".")
    if folder_kind != kind:
        return False
    if folder in {kind, unit} or (folder_name.endswith("-") and prefix.startswith(folder_name)):
        return True
    return bool(at) and folder_name.startswith(f"{prefix}@")


def _sandboxes(resolved: Resolved) -> Iterator[tuple[str, Party]]:
    for component in resolved.components:
        for index, service in enumerate(component.manifest.services):
            if service.sandbox and component.holds(service.when):
                path, fact = ("services", index, "unit"), f"the sandbox of `{service.unit}`"
                yield service.unit, make_party(component, path, fact, service.when)

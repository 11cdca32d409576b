# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that tell others what nothing ends, where a component wants that ended."""

from collections.abc import Iterator
from dataclasses import replace

from gnoppix_build.diagnostics import Diagnostic, Note
from gnoppix_build.language.node import span_of
from gnoppix_build.resolve.features import bringers_of
from gnoppix_build.resolve.parties import tell, ways_out
from gnoppix_build.resolve.selection import Selection


def check_leaks(selection: Selection) -> Iterator[Diagnostic]:
    """Find packages of leaky programs for which there is no switch."""
    for component in selection.components:
        for index, leak in enumerate(component.manifest.leaks):
            if not leak.left or not component.holds(leak.when):
                continue
            place = span_of(component.root, ("leaks", index, "left"))
            for what, party in bringers_of(leak.packages, selection):
                note = Note(f"`{component.name}` knows no switch for this: {leak.left}", place)
                side = replace(party, facts=(*party.facts, note))
                message = f"{what} cannot be kept from telling others what nobody asked it to"
                yield tell("package-leaks", message, (side,), ways_out([[side]]))

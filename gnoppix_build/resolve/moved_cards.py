# SPDX-License-Identifier: GPL-3.0-or-later
"""Network cards that move to another namespace: the profile says what configures them there."""

from collections.abc import Iterator
from typing import Final

from gnoppix_build.catalog.network import LinkEgress
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.resolve.selection import Selection

CARRIER: Final = "carrier"
"""What a component provides that puts the cards into the namespace of that name."""


def check_moved_cards(selection: Selection) -> Iterator[Diagnostic]:
    """Find what moves the cards away from whatever configured them, as on a machine of its own."""
    movers = [each for each in selection.components if CARRIER in each.offers]
    if any(
        isinstance(egress, LinkEgress) and component.holds(egress.when)
        for component in selection.components
        for egress in component.manifest.egress
    ):
        return
    able = [
        each.name
        for each in selection.catalog.components.values()
        if selection.target in each.manifest.targets
        and any(isinstance(egress, LinkEgress) for egress in each.manifest.egress)
    ]
    choices = " or ".join(f"`{name}: {{}}`" for name in able)
    for mover in movers:
        yield Diagnostic(
            "cards-left-alone",
            f"`{mover.name}` moves the network cards to where nothing in the profile configures "
            "them",
            mover.place,
            (),
            f"add {choices} under `components:`" if able else f"take out `{mover.name}`",
        )

# SPDX-License-Identifier: GPL-3.0-or-later
"""The switch of a systemd unit: one component may not turn on what another turns off."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from gnoppix_build.diagnostics import Diagnostic
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

# A unit that is masked is disabled as well, so these two do not contradict each other.
_OFF: Final = ("disable", "mask")


def check_unit_switches(selection: Selection) -> Iterator[Diagnostic]:
    """Find units that are enabled here and disabled or masked there."""
    switched: dict[str, dict[str, list[Party]]] = defaultdict(lambda: defaultdict(list))
    for component in selection.components:
        for part in component.parts:
            units = part.contribution.units
            states = (("enable", units.enable), ("disable", units.disable), ("mask", units.mask))
            for state, names in states:
                for index, unit in enumerate(names):
                    path = (*part.path, "units", state, index)
                    fact = f"`{component.name}` {state}s it here"
                    switched[unit][state].append(make_party(component, path, fact, part.when))
    for unit, states_of_unit in switched.items():
        enabling = states_of_unit.get("enable", [])
        ending = [party for state in _OFF for party in states_of_unit.get(state, [])]
        if enabling and ending:
            yield _tell(unit, merge_parties(enabling), merge_parties(ending))


def _tell(unit: str, enabling: list[Party], ending: list[Party]) -> Diagnostic:
    message = (
        f"{named(enabling)} {verb(enabling, 'enables', 'enable')} the unit `{unit}`, "
        f"which {named(ending)} {verb(ending, 'turns', 'turn')} off"
    )
    hint = ways_out((enabling, ending))
    return tell("unit-taken", message, (*enabling, *ending), hint)

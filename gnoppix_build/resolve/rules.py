# SPDX-License-Identifier: GPL-3.0-or-later
"""Every rule across components, in one table; none depends on the order of components."""

from collections.abc import Callable, Iterator
from typing import Final

from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.resolve.accounts import check_accounts
from gnoppix_build.resolve.carried import check_carried
from gnoppix_build.resolve.claims import (
    check_groups,
    check_ports,
    check_redirects,
    check_services,
    check_sockets,
    check_tunnels,
    check_users,
)
from gnoppix_build.resolve.egress import check_egress
from gnoppix_build.resolve.far_addresses import check_far_addresses
from gnoppix_build.resolve.features import check_features
from gnoppix_build.resolve.first_words import check_first_words
from gnoppix_build.resolve.forwards import check_forwards
from gnoppix_build.resolve.kernel import check_arguments, check_modules
from gnoppix_build.resolve.leaks import check_leaks
from gnoppix_build.resolve.lists import check_lists
from gnoppix_build.resolve.memory import check_contexts
from gnoppix_build.resolve.model_names import check_model_names
from gnoppix_build.resolve.moved_cards import check_moved_cards
from gnoppix_build.resolve.refusals import check_refusals
from gnoppix_build.resolve.sandboxes import check_sandboxes
from gnoppix_build.resolve.selection import Selection
from gnoppix_build.resolve.shared_ports import check_shared_ports
from gnoppix_build.resolve.sysctl import check_settings_of_kernel
from gnoppix_build.resolve.units import check_unit_switches
from gnoppix_build.resolve.ways import check_ways

Rule = Callable[[Selection], Iterator[Diagnostic]]

RULES: Final[tuple[Rule, ...]] = (
    check_accounts,
    check_arguments,
    check_carried,
    check_contexts,
    check_egress,
    check_far_addresses,
    check_features,
    check_first_words,
    check_forwards,
    check_groups,
    check_leaks,
    check_lists,
    check_model_names,
    check_modules,
    check_moved_cards,
    check_ports,
    check_redirects,
    check_refusals,
    check_sandboxes,
    check_services,
    check_settings_of_kernel,
    check_shared_ports,
    check_sockets,
    check_tunnels,
    check_unit_switches,
    check_users,
    check_ways,
)


def check_selection(selection: Selection) -> Iterator[Diagnostic]:
    """Find every combination that cannot work."""
    for rule in RULES:
        yield from rule(selection)

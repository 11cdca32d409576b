# SPDX-License-Identifier: GPL-3.0-or-later
"""The network cards of a system: where they are, and what opens them."""

import shlex

from gnoppix_build.checks.doors import Host, in_namespace
from gnoppix_build.policy.model import Policy


def where_the_cards_are(policy: Policy, command: str) -> str:
    """Give the shell command that runs a command in the network namespace of the cards."""
    return in_namespace(policy.card_namespace, command)


def await_address(host: Host, policy: Policy) -> None:
    """Wait until a card has an IPv4 address; after 90 s whoever asked sees that there is none."""
    asking = where_the_cards_are(policy, "ip -4 address show scope global")
    host.check_output(
        f"timeout 90 sh -c 'until {asking} | grep -q inet; do sleep 0.2; done' || true"
    )


def open_cards(host: Host, policy: Policy) -> None:
    """Agree, as root, to whatever keeps the cards down; for checks that begin from a snapshot."""
    for consent in policy.consents:
        if consent.opens == "cards":
            host.check_output(shlex.join(consent.command))
            await_address(host, policy)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system holds when it keeps its profile, as data for a program that looks at it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gnoppix_build.policy.egress import format_egress_chain
from gnoppix_build.policy.model import Policy
from gnoppix_build.policy.ruleset import format_ruleset
from gnoppix_build.resolve.model import Resolved, ResolvedComponent

FORMAT_VERSION: Final = 1
_CHAIN: Final = re.compile(r"\tchain (\w+) \{")
_HEAD: Final = re.compile(r"\t\ttype .*; policy (\w+);")

Data = Mapping[str, object]


def format_status(resolved: Resolved, policy: Policy) -> str:
    """Write what is to be seen on a running system, as JSON."""
    return json.dumps(describe_status(resolved, policy), indent=1) + "\n"


def describe_status(resolved: Resolved, policy: Policy) -> Data:
    """Gather what each component wants in force, and what the network policy is known by.

    `ruleset` and `egress_chain` map chain -> its policy and how many rules it has, in the
    namespace of programs. `udp_senders` names users that may have sockets of UDP at ports of
    their choice.
    """
    return {
        "format_version": FORMAT_VERSION,
        "profile": resolved.name,
        "card_namespace": policy.card_namespace,
        "ruleset": _chains_of(format_ruleset(policy)),
        "egress_chain": _chains_of(format_egress_chain(policy)),
        "udp_senders": sorted(_udp_senders(policy)),
        "components": [_describe(component, policy) for component in resolved.components],
    }


def _describe(component: ResolvedComponent, policy: Policy) -> Data:
    parts = component.contributions
    settings = {key: value for part in parts for key, value in part.sysctl.items()}
    return {
        "name": component.name,
        "summary": component.manifest.summary,
        "enabled": _union(part.units.enable for part in parts),
        "off": _union((*part.units.disable, *part.units.mask) for part in parts),
        "sandboxed": [
            each.unit
            for each in policy.services
            if each.component == component.name and each.has_sandbox and "@." not in each.unit
        ],
        "sysctl": {key: settings[key] for key in sorted(settings)},
        "blocked_modules": _union(part.blocked_modules for part in parts),
        "kernel_arguments": _union(part.kernel_arguments for part in parts),
        "listeners": [
            {
                "protocol": each.protocol,
                "address": each.address,
                "port": each.port,
                "user": each.user,
            }
            for each in policy.within("system").listeners
            if each.component == component.name
        ],
        "awaits_consent": any(each.component == component.name for each in policy.awaiting),
        "sockets": [each.path for each in policy.sockets if each.component == component.name],
    }


def _udp_senders(policy: Policy) -> Iterator[str]:
    part = policy.within("system")
    yield from (flow.user for flow in part.direct if flow.protocol == "udp")
    yield from (flow.user for flow in part.links if flow.link == "dhcp4")


def _chains_of(text: str) -> Data:
    """Count the rules of each chain as nft lists them: one a line."""
    chains: dict[str, dict[str, object]] = {}
    rules = 0
    name = ""
    for line in text.splitlines():
        if found := _CHAIN.match(line):
            name, rules = found[1], 0
            chains[name] = {"policy": None, "rules": 0}
        elif found := _HEAD.match(line):
            chains[name]["policy"] = found[1]
        elif line.startswith("\t\t"):
            rules += 1
            chains[name]["rules"] = rules
    return chains


def _union(groups: Iterator[Sequence[str]]) -> list[str]:
    return sorted({each for group in groups for each in group})

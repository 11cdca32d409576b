# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compiled from one policy agrees: rulesets in force, matrix, flows and the judge.

Policies are made up by hypothesis, put into force with the real nft, and tried with real packets:
every user with every listener, and every user with every destination beyond the machine.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as some
from namespaces import NAMESPACES, needs_root

from gnoppix_build.catalog.load import Catalog
from gnoppix_build.catalog.manifest import Manifest, User
from gnoppix_build.catalog.network import (
    CarriedEgress,
    ConfinedEgress,
    DirectEgress,
    Listener,
    Redirect,
)
from gnoppix_build.diagnostics import Span
from gnoppix_build.language.node import Table
from gnoppix_build.policy.capture import compile_capture, judge_frames
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.egress import INTERFACE, format_egress_chain
from gnoppix_build.policy.model import Policy
from gnoppix_build.policy.ruleset import format_ruleset
from gnoppix_build.resolve.egress import check_egress
from gnoppix_build.resolve.model import Resolved, ResolvedComponent
from gnoppix_build.resolve.selection import Selection

pytestmark = [pytest.mark.root, needs_root]

LAB = Path(__file__).with_name("agreement_lab.py")
PLACE = Span("test", 1, 1, 1, 1)
USERS = {"one": 901, "two": 902, "three": 903, "four": 904}
NAMES = some.sampled_from(sorted(USERS))
ADDRESSES = ("192.0.2.1", "198.51.100.2")
PORTS = (53, 443)
TRANSPARENT_PORT = 9040
DESTINATIONS = [
    [protocol, address, port]
    for protocol in ("tcp", "udp")
    for address in ADDRESSES
    for port in PORTS
]

SEVERAL_NAMES = some.lists(NAMES, max_size=2, unique=True).map(tuple)
EGRESS = some.one_of(
    some.builds(ConfinedEgress, user=NAMES, reach=some.sampled_from(["none", "loopback"])),
    some.builds(CarriedEgress, user=NAMES, through=some.sampled_from(["first", "second"])),
    some.builds(
        DirectEgress,
        user=some.one_of(NAMES, some.just("everyone")),
        protocol=some.sampled_from(["tcp", "udp"]),
        ports=some.lists(some.sampled_from(PORTS), max_size=1).map(tuple),
        addresses=some.lists(some.sampled_from(ADDRESSES), max_size=1).map(tuple),
    ),
)


@some.composite
def manifests(draw: some.DrawFn, first_port: int) -> Manifest:
    listeners = [
        Listener(
            protocol=draw(some.sampled_from(["tcp", "udp"])),
            address="127.0.0.1",
            port=first_port + number,
            user=draw(NAMES),
            open_to=draw(some.one_of(some.just(("everyone",)), SEVERAL_NAMES)),
        )
        for number in range(draw(some.integers(0, 2)))
    ]
    redirects: tuple[Redirect, ...] = ()
    if first_port == 8000 and draw(some.booleans()):
        redirects = (Redirect(traffic="tcp", port=TRANSPARENT_PORT),)
        listeners.append(
            Listener(
                protocol="tcp", address="127.0.0.1", port=TRANSPARENT_PORT, user="one", open_to=()
            )
        )
    users = tuple(User(name=name, uid=uid) for name, uid in USERS.items())
    return Manifest(
        kind="system",
        summary="",
        users=users if first_port == 8000 else (),
        listens=tuple(listeners),
        redirects=redirects,
        egress=tuple(draw(some.lists(EGRESS, max_size=3))),
    )


def resolve_manifests(*manifests: Manifest) -> Resolved:
    components = tuple(
        ResolvedComponent(
            name, Path("/c") / name, "base", manifest, {}, {}, "", PLACE, Table((), PLACE)
        )
        for name, manifest in zip(("first", "second"), manifests, strict=True)
    )
    return Resolved(
        *("made-up", "", "trixie", ("main",), "amd64", "C.UTF-8", "us", None, "image"),
        *(components, (), "development", ()),
    )


def is_contradicted(resolved: Resolved) -> bool:
    """Tell whether a user that is kept to less is given something else as well."""
    declared = [each for component in resolved.components for each in component.manifest.egress]
    forms: dict[str, set[str]] = {name: set() for name in USERS}
    for each in declared:
        match each:
            case ConfinedEgress():
                forms[each.user].add(each.reach)
            case CarriedEgress():
                forms[each.user].add("through")
            case _ if each.user in USERS:
                forms[each.user].add("direct")
            case _:
                pass
    return any(len(each) > 1 for each in forms.values())


def refusals_of(resolved: Resolved) -> list[str]:
    catalog = Catalog({}, {}, {}, (), {})
    return [each.code for each in check_egress(Selection(resolved.components, {}, catalog))]


def put_into_force(policy: Policy) -> dict[str, dict[str, list[int]]]:
    rows = [f"{name}:x:{uid}:{uid}::/:/bin/false\n" for name, uid in USERS.items()]
    task = {
        "ruleset": format_ruleset(policy),
        "chain": format_egress_chain(policy).replace(INTERFACE, "wire"),
        "passwd": "".join(["root:x:0:0::/:/bin/sh\n", *rows]),
        "listeners": [
            [each.protocol, each.address, each.port, USERS[each.user]] for each in policy.listeners
        ],
        "users": {"root": 0, **USERS},
        "far": DESTINATIONS,
    }
    script = 'mount -t tmpfs tmpfs /tmp && exec "$@"'
    command = (*NAMESPACES, "sh", "-c", script, "sh", sys.executable, LAB)
    done = subprocess.run(
        command, input=json.dumps(task), capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, dict[str, list[int]]] = json.loads(done.stdout)
    return result


def may_send(policy: Policy, user: str, destination: Sequence[object]) -> bool:
    """Tell from the declarations alone whether a frame may leave for a destination."""
    protocol, address, port = destination
    own = [each for each in policy.direct if each.user == user]
    everyone = [each for each in policy.direct if each.user == "everyone"]
    is_led = any(each.traffic == protocol for each in policy.redirects)
    if user in policy.bound_users or (is_led and not own):
        everyone = []
    return any(
        flow.protocol == protocol
        and (not flow.ports or port in flow.ports)
        and (not flow.addresses or address in flow.addresses)
        for flow in (*own, *everyone)
    )


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    # An example takes two seconds: one that fails is shown as it is, not made smaller.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(manifests(8000), manifests(8100))
def test_rulesets_in_force_agree_with_matrix_flows_and_judge(
    first: Manifest, second: Manifest
) -> None:
    resolved = resolve_manifests(first, second)
    assert bool(refusals_of(resolved)) == is_contradicted(resolved)
    # What is refused is compiled by nobody: with two words on a user, outputs would not agree.
    assume(not is_contradicted(resolved))
    policy = compile_policy(resolved)
    tried = put_into_force(policy)
    admitted = {
        user: [
            index
            for index, listener in enumerate(policy.listeners)
            for cell in policy.matrix
            if (cell.user, cell.protocol, cell.port) == (user, listener.protocol, listener.port)
            and cell.is_admitted
        ]
        for user in ("root", *USERS)
    }
    assert tried["near"] == admitted
    assert tried["far"] == {
        user: [n for n, each in enumerate(DESTINATIONS) if may_send(policy, user, each)]
        for user in ("root", *USERS)
    }
    frames = [bytes.fromhex(str(frame)) for frame in tried["frames"]]
    assert judge_frames(frames, compile_capture(policy), frozenset()) == ()

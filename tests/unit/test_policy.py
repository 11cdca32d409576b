# SPDX-License-Identifier: GPL-3.0-or-later
"""The network policy: compiled from the shipped components, and tried with real packets."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from namespaces import NAMESPACES, PASSWD, needs_root, run_lab

from gnoppix_build.catalog.declaration import FromOption
from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.catalog.network import DirectEgress
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.model import Admission, DirectFlow, LinkFlow, PolicyListener
from gnoppix_build.policy.ruleset import format_closed_ruleset, format_ruleset
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.resolve import resolve

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def minimal() -> Resolved:
    reader = SourceFolders([ROOT])
    catalog = load_catalog([COMPONENTS_FOLDER], reader)
    resolution = resolve(ROOT / "profiles" / "minimal.yaml", catalog, reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    return resolution.resolved


def test_policy_holds_what_the_components_declare(minimal: Resolved) -> None:
    policy = compile_policy(minimal)
    assert policy.direct == (DirectFlow("tor", "debian-tor", "tcp"),)
    assert policy.links == (
        LinkFlow("network-identity", "arp", "kernel"),
        LinkFlow("network-identity", "dhcp4", "systemd-network"),
    )
    assert policy.listeners == (
        PolicyListener("tor", "debian-tor", "tcp", "127.0.0.1", 9040, ()),
        PolicyListener("tor", "debian-tor", "tcp", "127.0.0.1", 9050, ("everyone",)),
        PolicyListener("tor", "debian-tor", "udp", "127.0.0.1", 5353, ()),
    )
    assert Admission("user", "tcp", "127.0.0.1", 9050, is_admitted=True) in policy.matrix
    assert Admission("user", "tcp", "127.0.0.1", 9040, is_admitted=False) in policy.matrix


def test_policy_does_not_depend_on_the_order_of_components(minimal: Resolved) -> None:
    backwards = replace(minimal, components=minimal.components[::-1])
    assert compile_policy(backwards) == compile_policy(minimal)


@pytest.mark.parametrize(
    ("far", "ports", "any_if_empty", "expected"),
    [
        ((), (), (), []),
        (("192.0.2.1",), (), (), []),
        ((), (443,), (), []),
        (("192.0.2.1",), (443,), (), [(("192.0.2.1",), (443,))]),
        ((), (443,), ("addresses",), [((), (443,))]),
        ((), (443,), ("ports",), []),
        ((), (), ("addresses", "ports"), [((), ())]),
    ],
)
def test_option_that_names_nobody_lets_nothing_out(
    minimal: Resolved,
    far: tuple[str, ...],
    ports: tuple[int, ...],
    any_if_empty: tuple[Literal["addresses", "ports"], ...],
    expected: list[tuple[tuple[str, ...], tuple[int, ...]]],
) -> None:
    egress = DirectEgress(
        user="debian-tor",
        protocol="tcp",
        addresses=(FromOption(option="far"),),
        ports=(FromOption(option="ports"),),
        any_if_empty=any_if_empty,
    )
    components = [
        replace(
            each,
            manifest=each.manifest.model_copy(update={"egress": (egress,)}),
            options={**each.options, "far": far, "ports": ports},
        )
        if each.name == "tor"
        else each
        for each in minimal.components
    ]
    policy = compile_policy(replace(minimal, components=tuple(components)))
    assert [(flow.addresses, flow.ports) for flow in policy.direct] == expected


def test_ruleset_never_accepts_all_that_is_established(minimal: Resolved) -> None:
    assert "established" not in format_ruleset(compile_policy(minimal))


@needs_root
@pytest.mark.root
@pytest.mark.parametrize("is_closed", [False, True])
def test_nft_takes_the_ruleset(minimal: Resolved, tmp_path: Path, is_closed: bool) -> None:
    text = format_closed_ruleset() if is_closed else format_ruleset(compile_policy(minimal))
    ruleset = tmp_path / "firewall.nft"
    ruleset.write_text(text)
    passwd = tmp_path / "passwd"
    passwd.write_text(PASSWD)
    script = 'mount --bind "$2" /etc/passwd && exec nft -c -f "$1"'
    command = (*NAMESPACES, "sh", "-c", script, "sh", ruleset, passwd)
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@needs_root
@pytest.mark.root
def test_packets_go_where_the_policy_says(minimal: Resolved, tmp_path: Path) -> None:
    """There is also a user with a way of its own, whose names are led all the same."""
    policy = compile_policy(minimal)
    router = DirectFlow("router", "router", "tcp")
    ruleset = format_ruleset(replace(policy, direct=(*policy.direct, router)))
    # [the answer or the error, whether a frame left by the cable]
    assert run_lab("policy_lab.py", ruleset, tmp_path) == {
        "user socks": ["socks:marked", False],
        "user far tcp": ["trans:marked", False],
        "root far tcp": ["trans:marked", False],
        "user name": ["dns:marked", False],
        "user trans directly": ["ConnectionRefusedError", False],
        "user dns directly": ["PermissionError", False],
        "user undeclared": ["ConnectionRefusedError", False],
        "user own address": ["ConnectionRefusedError", False],
        "user far udp": ["PermissionError", False],
        "root far udp": ["PermissionError", False],
        "network far udp": ["PermissionError", False],
        "tor far tcp": ["remote:marked", True],
        "tor name": ["PermissionError", False],
        "router far tcp": ["remote:marked", True],
        "router name": ["dns:marked", False],
        "tor far udp": ["PermissionError", False],
        "root ping": False,
        "old connection": False,
        "root ping, no rules": True,
        "user far udp, no rules": True,
    }


def test_user_of_debian_itself_reaches_what_it_is_sent_through() -> None:
    """Nothing declares `_apt`; a policy that forgets it refuses it the only way that it has."""
    reader = SourceFolders([ROOT])
    catalog = load_catalog([COMPONENTS_FOLDER], reader)
    resolution = resolve(ROOT / "profiles" / "tor-live.yaml", catalog, reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    policy = compile_policy(resolution.resolved)
    assert Admission("_apt", "tcp", "127.0.0.1", 9050, is_admitted=True) in policy.matrix
    assert '"_apt"' not in "".join(
        line for line in format_ruleset(policy).splitlines() if "dport 9050" in line
    )

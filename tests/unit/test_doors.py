# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a system listens and who gets in: asked in every network namespace that it has."""

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, KINDS_FOLDER, load_catalog
from gnoppix_build.checks.doors import (
    admitted_doors,
    listening_places,
    places_of,
    reached_doors,
    undeclared,
)
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.model import Policy
from gnoppix_build.resolve.resolve import resolve

PROFILE = """\
version: 1
name: top
components:
  debian-base: {}
  firewall: {}
  network-identity: {}
"""
BENEATH = "ip netns exec carrier "
OVER_TOR = """\
  link-namespace: {}
  openvpn: {ca: /etc/openvpn/ca.crt, over: tor, protocol: tcp, server: 192.0.2.1}
  tor: {mode: socks}
"""
OFFLINE = """\
  ask: {}
  llama-cpp: {}
  smollm2-135m: {}
"""
TORS = 'tcp LISTEN 0 4096 127.0.0.1:9050 0.0.0.0:* users:(("tor",pid=1,fd=6)) uid:110 ino:1 sk:1'
DHCP = 'udp UNCONN 0 0 10.0.2.15%eth0:68 0.0.0.0:* users:(("systemd-network",pid=2,fd=3)) uid:998'
SSHD = 'tcp LISTEN 0 128 [::]:22 [::]:* users:(("sshd",pid=3,fd=4)) ino:2 sk:2'


@dataclass
class Host:
    """A system that answers what it is asked by the beginning of the command."""

    answers: dict[str, str]
    asked: list[str] = field(default_factory=list)

    def check_output(self, command: str) -> str:
        self.asked.append(command)
        return next(text for start, text in self.answers.items() if command.startswith(start))


def policy_of(components: str, folder: Path) -> Policy:
    profile = folder / "top.yaml"
    profile.write_text(PROFILE + components)
    reader = SourceFolders([folder, COMPONENTS_FOLDER, KINDS_FOLDER])
    resolution = resolve(profile, load_catalog([COMPONENTS_FOLDER], reader), reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    return compile_policy(resolution.resolved)


@pytest.fixture(scope="module")
def over_tor(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return policy_of(OVER_TOR, tmp_path_factory.mktemp("profile"))


def test_places_are_those_of_every_namespace(over_tor: Policy) -> None:
    host = Host({"ss": "", f"{BENEATH}ss": f"{TORS}\n{DHCP}\n"})
    assert listening_places(host, over_tor) == places_of(over_tor.listeners)
    assert places_of(over_tor.listeners) == {("carrier", "tcp", "127.0.0.1", 9050)}


@pytest.mark.parametrize(
    ("above", "beneath", "strange"),
    [
        pytest.param("", SSHD, {("carrier", "tcp", "::", 22)}, id="beneath"),
        pytest.param(SSHD, "", {("system", "tcp", "::", 22)}, id="above"),
        pytest.param(TORS, "", {("system", "tcp", "127.0.0.1", 9050)}, id="in-the-wrong-one"),
        pytest.param(DHCP, "", {("system", "udp", "10.0.2.15", 68)}, id="dhcp-without-a-card"),
    ],
)
def test_place_in_the_wrong_namespace_is_a_stranger(
    over_tor: Policy, above: str, beneath: str, strange: set[tuple[str, str, str, int]]
) -> None:
    host = Host({"ss": above, f"{BENEATH}ss": beneath})
    assert listening_places(host, over_tor) == strange


def test_port_that_the_kernel_chose_is_no_listener_of_a_sender(tmp_path: Path) -> None:
    policy = policy_of(OVER_TOR.replace("over: tor, protocol: tcp, ", ""), tmp_path)
    line = "udp UNCONN 0 0 0.0.0.0:{port} 0.0.0.0:* {owner}"
    openvpn, other, kernel = 'users:(("openvpn",pid=4,fd=3)) uid:115', "users:((", ""
    sockets = [(40000, openvpn), (5000, openvpn), (40001, other), (40002, kernel)]
    listing = "\n".join(line.format(port=port, owner=owner) for port, owner in sockets)
    host = Host({"ss": "", f"{BENEATH}ss": listing})
    found = {port for _, _, _, port in listening_places(host, policy)}
    assert found == {5000, 40001, 40002}


def test_users_without_a_listener_are_expected_to_reach_their_sockets(tmp_path: Path) -> None:
    """An offline system with a language model has no port at all, and no less than these users."""
    policy = policy_of(OFFLINE, tmp_path)
    assert policy.matrix == ()
    expected = admitted_doors(policy, "system")
    assert expected.keys() == {"root", *(user.name for user in policy.users)}
    assert expected["root"] == {("unix", each.path, 0) for each in policy.sockets} != set()


def test_listener_beneath_is_knocked_at_from_both_sides(over_tor: Policy) -> None:
    host = Host({"python3": '{"root": []}', f"{BENEATH}python3": '{"root": [["tcp", "::1", 7]]}'})
    tors = ("tcp", "127.0.0.1", 9050)
    assert tors in undeclared(over_tor, "system")
    assert tors not in undeclared(over_tor, "carrier")
    assert reached_doors(host, over_tor, "system") == {"root": set()}
    assert reached_doors(host, over_tor, "carrier") == {"root": {("tcp", "::1", 7)}}
    above, beneath = (json.loads(shlex.split(command)[-1]) for command in host.asked)
    assert list(tors) in above["doors"]
    assert beneath["declared"] == [list(tors)]
    assert not [each for each in beneath["declared"] if each[0] == "unix"]
    assert all(tors not in reached for reached in admitted_doors(over_tor, "system").values())
    assert tors in admitted_doors(over_tor, "carrier")["openvpn"]

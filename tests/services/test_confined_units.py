# SPDX-License-Identifier: GPL-3.0-or-later
"""Which units have to be held to an AppArmor profile: all with a network, or there is a reason."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from check_module import load_checks

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.model import Policy
from gnoppix_build.resolve.model import Target
from gnoppix_build.resolve.resolve import resolve

OWN = """\
kind: network
summary: a server of root
users: []
listens:
  - {protocol: tcp, address: 0.0.0.0, port: 99, user: root}
services:
  - {unit: own.service, user: root, exposure: 1.0}
  - unit: own-setup.service
    user: root
    relaxes: {RestrictAddressFamilies: {to: AF_NETLINK AF_UNIX, because: it configures}}
    exposure: 1.0
  - {unit: own-bare.service, user: root, sandbox: off, exposure: 9.6, because: a test}
"""


@pytest.fixture
def checks(request: pytest.FixtureRequest) -> ModuleType:
    return load_checks("apparmor", request.config)


def policy_of(folder: Path, components: str, target: Target) -> Policy:
    (folder / "own").mkdir()
    (folder / "own" / "component.yaml").write_text(OWN)
    profile = folder / "top.yaml"
    profile.write_text(f"version: 1\nname: top\ncomponents:\n{components}")
    reader = SourceFolders([PACKAGE_FOLDER, folder])
    resolution = resolve(profile, load_catalog([COMPONENTS_FOLDER, folder], reader), reader, target)
    assert resolution.resolved is not None, resolution.diagnostics
    return compile_policy(resolution.resolved)


def test_servers_of_root_are_looked_at(checks: Any, tmp_path: Path) -> None:
    components = "  debian-base: {}\n  firewall: {}\n  network-identity: {}\n  own: {}\n"
    units = checks.network_units(policy_of(tmp_path, components, "image"))
    assert sorted(units) == ["own-bare.service", "own.service", "systemd-networkd.service"]


def test_manager_of_root_is_looked_at_and_what_it_hands_over_by_is_not(
    checks: Any, tmp_path: Path
) -> None:
    components = (
        "  debian-base: {}\n  firewall: {}\n  network-identity: {manager: network-manager}\n"
    )
    units = checks.network_units(policy_of(tmp_path, components, "image"))
    assert units == ["NetworkManager.service"]


def test_remote_access_says_why_it_is_held_to_nothing(checks: Any, tmp_path: Path) -> None:
    components = "  firewall: {}\n  own-network: {}\n  remote-access: {}\n"
    policy = policy_of(tmp_path, components, "machine")
    assert checks.network_units(policy) == []
    assert [each.unit for each in policy.services if each.unconfined] == ["ssh.service"]

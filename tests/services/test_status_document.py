# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system is held against by its own status command, and how nft tells what is loaded."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_privacy_status import program

from gnoppix_build.catalog.load import load_catalog
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.egress import INTERFACE, format_egress_chain
from gnoppix_build.policy.ruleset import format_ruleset
from gnoppix_build.policy.status import describe_status, format_status
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.resolve import resolve

# A profile with every form of declaration.
FORMS = Path(__file__).parents[1] / "golden" / "policy"
NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
LOAD = 'mount --bind "$2" /etc/passwd && nft -f "$1" && nft -j list ruleset'


@pytest.fixture(scope="module")
def resolved() -> Resolved:
    reader = SourceFolders([FORMS, PACKAGE_FOLDER])
    catalog = load_catalog([FORMS / "components"], reader)
    resolution = resolve(FORMS / "profile.yaml", catalog, reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    return resolution.resolved


def test_document_is_the_description_as_json(resolved: Resolved) -> None:
    policy = compile_policy(resolved)
    assert json.loads(format_status(resolved, policy)) == describe_status(resolved, policy)


def test_description_has_each_listener_of_the_programs_once(resolved: Resolved) -> None:
    policy = compile_policy(resolved)
    components: Any = describe_status(resolved, policy)["components"]
    described = [
        (each["name"], row["user"], row["protocol"], row["address"], row["port"])
        for each in components
        for row in each["listeners"]
    ]
    declared = [
        (each.component, each.user, each.protocol, each.address, each.port)
        for each in policy.listeners
        if each.namespace == "system"
    ]
    assert sorted(described) == sorted(declared)
    assert described


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
def test_chains_are_those_that_nft_lists(resolved: Resolved, tmp_path: Path) -> None:
    policy = compile_policy(resolved)
    ruleset = tmp_path / "both.nft"
    chain = format_egress_chain(policy).replace(INTERFACE, "lo")
    ruleset.write_text(format_ruleset(policy) + chain)
    passwd = tmp_path / "passwd"
    rows = [f"{user.name}:x:{user.uid}:{user.uid}::/:/bin/false\n" for user in policy.users]
    passwd.write_text("".join(["root:x:0:0::/:/bin/sh\n", *rows]))
    command = (*NAMESPACES, "sh", "-c", LOAD, "sh", ruleset, passwd)
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    listed = json.loads(said)["nftables"]
    described = describe_status(resolved, policy)
    assert program.chains_of(listed, "inet", "gnoppix") == described["ruleset"]
    assert program.chains_of(listed, "netdev", "gnoppix-lo") == described["egress_chain"]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
def test_other_rules_of_the_same_number_are_told(tmp_path: Path) -> None:
    """What nft(8) lists is told apart from what it listed just after loading, rule by rule."""
    ruleset = tmp_path / "one.nft"
    ruleset.write_text(
        "table inet gnoppix {\nchain output {\ntype filter hook output priority filter; "
        "policy drop; meta skuid 900 tcp dport { 80, 443 } counter accept\n}\n}\n"
    )
    parts = tmp_path / "record", tmp_path / "same", tmp_path / "other"
    script = """set -eu
nft -f "$1"
nft -n -s list table inet gnoppix >"$2"
ip link set lo up
nft -n -s list ruleset >"$3"
nft replace rule inet gnoppix output handle "$(
    nft -a list chain inet gnoppix output | sed -n 's/.*accept # handle //p')" accept
nft -n -s list ruleset >"$4"
"""
    subprocess.run((*NAMESPACES, "sh", "-c", script, "sh", ruleset, *parts), check=True)
    record, same, other = (program.tables_of(part.read_text()) for part in parts)
    assert record.keys() == same.keys() == other.keys() == {"inet gnoppix"}
    assert record == same
    assert record != other
    assert "\t\taccept\n" in other["inet gnoppix"]

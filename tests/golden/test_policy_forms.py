# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is compiled from one policy with every form of declaration, to the byte."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from gnoppix_build.catalog.load import load_catalog
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.documents import policy_documents
from gnoppix_build.policy.egress import INTERFACE, format_egress_chain
from gnoppix_build.policy.model import Namespace, Policy
from gnoppix_build.policy.ruleset import format_closed_ruleset, format_ruleset
from gnoppix_build.policy.sandbox import format_drop_in
from gnoppix_build.resolve.resolve import resolve

FOLDER = Path(__file__).parent / "policy"
EXPECTED = FOLDER / "expected"
NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
BOTH: tuple[Namespace, ...] = ("system", "carrier")


@pytest.fixture(scope="module")
def policy() -> Policy:
    reader = SourceFolders([FOLDER, PACKAGE_FOLDER])
    catalog = load_catalog([FOLDER / "components"], reader)
    resolution = resolve(FOLDER / "profile.yaml", catalog, reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    return compile_policy(resolution.resolved)


def write_everything(policy: Policy) -> Mapping[str, str]:
    return {
        **{f"{each}.nft": format_ruleset(policy, each) for each in BOTH},
        **{f"{each}-egress.nft": format_egress_chain(policy, each) for each in BOTH},
        **{f"{each.unit}.conf": format_drop_in(policy, each) for each in policy.services},
        **{name: text.decode() for name, text in policy_documents(policy).items()},
        "closed.nft": format_closed_ruleset(),
    }


def test_policy_with_every_form_is_compiled_as_reviewed(policy: Policy) -> None:
    expected = {path.name: path.read_text() for path in EXPECTED.iterdir()}
    assert write_everything(policy) == expected


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
@pytest.mark.parametrize("name", sorted(path.name for path in EXPECTED.glob("*.nft")))
def test_nft_loads_what_is_compiled(name: str, policy: Policy, tmp_path: Path) -> None:
    """It is loaded twice, as at a reload, into a namespace whose only interface is `lo`."""
    ruleset = tmp_path / name
    ruleset.write_text((EXPECTED / name).read_text().replace(INTERFACE, "lo"))
    passwd = tmp_path / "passwd"
    rows = [f"{user.name}:x:{user.uid}:{user.uid}::/:/bin/false\n" for user in policy.users]
    passwd.write_text("".join(["root:x:0:0::/:/bin/sh\n", *rows]))
    script = 'mount --bind "$2" /etc/passwd && nft -f "$1" && nft -f "$1"'
    command = (*NAMESPACES, "sh", "-c", script, "sh", ruleset, passwd)
    loaded = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (loaded.returncode, loaded.stderr) == (0, "")

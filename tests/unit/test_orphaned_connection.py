# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program still sends when the proxy that its connection was led to is gone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_policy import NAMESPACES, PASSWD, minimal, needs_root

from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.ruleset import format_ruleset
from gnoppix_build.resolve.model import Resolved

__all__ = ["minimal"]


@needs_root
@pytest.mark.root
def test_connection_without_its_proxy_sends_nothing(minimal: Resolved, tmp_path: Path) -> None:
    """Its data and its FIN are for the far address, to which no rule leads them any more."""
    ruleset = tmp_path / "firewall.nft"
    ruleset.write_text(format_ruleset(compile_policy(minimal)))
    passwd = tmp_path / "passwd"
    passwd.write_text(PASSWD)
    lab = Path(__file__).with_name("orphan_lab.py")
    command = (*NAMESPACES, sys.executable, lab, ruleset, passwd)
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"under the rules": 0, "leaves without rules": True}

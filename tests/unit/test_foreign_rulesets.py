# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of other programs beside ours: a verdict of theirs opens nothing that ours drop."""

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
def test_rules_of_a_container_engine_open_nothing(minimal: Resolved, tmp_path: Path) -> None:
    ruleset = tmp_path / "firewall.nft"
    ruleset.write_text(format_ruleset(compile_policy(minimal)))
    passwd = tmp_path / "passwd"
    passwd.write_text(PASSWD)
    lab = Path(__file__).with_name("foreign_rules_lab.py")
    command = (*NAMESPACES, sys.executable, lab, ruleset, passwd)
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "foreign rules alone": {
            "stranger to the published port": "connected",
            "stranger to the machine": "connected",
            "machine to the stranger": "connected",
            "stranger to the machine by IPv6": "connected",
            "machine to the stranger by IPv6": "connected",
        },
        "with ours": {
            "stranger to the published port": "TimeoutError",
            "stranger to the machine": "TimeoutError",
            "machine to the stranger": "ConnectionRefusedError",
            "stranger to the machine by IPv6": "TimeoutError",
            "machine to the stranger by IPv6": "ConnectionRefusedError",
        },
    }

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel answers for a listener before its process has taken the connection."""

from pathlib import Path

import pytest
from namespaces import needs_root, run_lab

from gnoppix_build.policy.model import Policy, PolicyListener
from gnoppix_build.policy.ruleset import format_ruleset


@needs_root
@pytest.mark.root
def test_connection_that_waits_is_acknowledged(tmp_path: Path) -> None:
    """Its packets have no user yet; they were refused, which reset the connection."""
    listener = PolicyListener("door", "debian-tor", "tcp", "0.0.0.0", 4567, ("everyone",))
    ruleset = format_ruleset(Policy("made-up", listeners=(listener,)))
    assert run_lab("waiting_lab.py", ruleset, tmp_path) == {
        "not acknowledged": 0,
        "answer": "HELLO",
    }

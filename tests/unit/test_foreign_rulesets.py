# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of other programs beside ours: a verdict of theirs opens nothing that ours drop."""

from pathlib import Path

import pytest
from namespaces import needs_root, run_lab
from test_policy import minimal

from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.ruleset import format_ruleset
from gnoppix_build.resolve.model import Resolved

__all__ = ["minimal"]


@needs_root
@pytest.mark.root
def test_rules_of_a_container_engine_open_nothing(minimal: Resolved, tmp_path: Path) -> None:
    ruleset = format_ruleset(compile_policy(minimal))
    assert run_lab("foreign_rules_lab.py", ruleset, tmp_path) == {
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

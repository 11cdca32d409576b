# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program still sends when the proxy that its connection was led to is gone."""

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
def test_connection_without_its_proxy_sends_nothing(minimal: Resolved, tmp_path: Path) -> None:
    """Its data and its FIN are for the far address, to which no rule leads them any more."""
    ruleset = format_ruleset(compile_policy(minimal))
    assert run_lab("orphan_lab.py", ruleset, tmp_path) == {
        "under the rules": 0,
        "leaves without rules": True,
    }

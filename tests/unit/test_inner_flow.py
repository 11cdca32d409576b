# SPDX-License-Identifier: GPL-3.0-or-later
"""A user that talks to itself at ports of the kernel's choice: it alone does, to itself alone."""

from pathlib import Path

import pytest
from inner_flow_lab import USERS
from namespaces import needs_root, run_lab

from gnoppix_build.policy.model import InnerFlow, Policy, PolicyUser
from gnoppix_build.policy.ruleset import format_ruleset


def answered(policy: Policy, folder: Path) -> set[str]:
    rows = (f"{name}:x:{uid}:{uid}::/:/bin/false\n" for name, uid in {**USERS, "root": 0}.items())
    said = run_lab("inner_flow_lab.py", format_ruleset(policy), folder, "".join(rows))
    return {pair for pair, is_answered in said.items() if is_answered}


@pytest.mark.root
@needs_root
def test_user_talks_to_itself_and_to_nobody_else(tmp_path: Path) -> None:
    inner = (InnerFlow("a", "one"), InnerFlow("b", "two"))
    users = tuple(PolicyUser(name, uid) for name, uid in USERS.items())
    policy = Policy("inner", users=users, inner=inner)
    assert answered(policy, tmp_path) == {"one to one", "two to two"}


@pytest.mark.root
@needs_root
def test_nobody_talks_to_itself_undeclared(tmp_path: Path) -> None:
    assert answered(Policy("inner"), tmp_path) == set()

# SPDX-License-Identifier: GPL-3.0-or-later
"""A component's tasks know what the role gives them, and no more."""

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
ROLE = PROJECT / "playbooks/roles/apply_component"


def test_variables_of_the_role_that_tasks_use_are_made_by_it() -> None:
    text = "".join(
        path.read_text()
        for path in sorted((PROJECT / "gnoppix_build").glob("components/*/tasks/*"))
    )
    used = set(re.findall(r"\bapply_component_\w+", text))
    made = set(re.findall(r"register: (\w+)", (ROLE / "tasks/main.yml").read_text()))
    declared = set(re.findall(r"^(\w+):", (ROLE / "defaults/main.yml").read_text(), re.MULTILINE))
    assert used
    assert used <= made | declared

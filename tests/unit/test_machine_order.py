# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which a machine is changed: the files of its gate, and what starts, come last."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from machine_container import UnsafeLoader

from gnoppix_build.app.assembly import render_profile
from gnoppix_build.cli import session

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
PROFILE = "hardened-server"
ROLE = "project/roles/apply_component/tasks"
COMPONENT_TASKS = [
    "Write the files of {{ apply_component_name }}",
    "Bring the payloads of {{ apply_component_name }}",
    "Run the tasks of {{ apply_component_name }}",
    # Not on a machine: see the test of it.
    "Set the units of {{ apply_component_name }}",
]
INCLUDES = ("ansible.builtin.include_role", "ansible.builtin.include_tasks")


@cache
def rendered() -> Mapping[str, Any]:
    """Give the rendered playbooks of a machine: path -> document."""
    resolved = session.require_profile(PROFILE, (), "machine")
    reader = session.make_reader(PROFILE, ())
    tree = render_profile(resolved, None, session.data_folder("playbooks"), reader)
    return {
        path: yaml.load(content, UnsafeLoader)
        for path, content in tree.files.items()
        if path.endswith(".yml") and path.startswith("project/")
    }


def names_of(tasks: list[dict[str, Any]]) -> Iterator[str]:
    """Give the names of tasks in the order in which they run, those that they include too."""
    for task in tasks:
        role, file = (task.get(key) for key in INCLUDES)
        if role is not None:
            yield from names_of(rendered()[f"{ROLE}/{role.get('tasks_from', 'main')}.yml"])
        elif file == "{{ playbook_dir }}/components.yml":
            for component in rendered()["project/components.yml"]:
                yield component["name"]
        else:
            yield task["name"]


def test_machine_is_changed_in_the_order_that_shuts_nobody_out() -> None:
    [play] = rendered()["project/site.yml"]
    variables = rendered()["project/group_vars/all.yml"]
    components = [each["name"] for each in variables["gnoppix_components"]]
    assert list(names_of(play["tasks"])) == [
        "Look at the machine",
        "Make the users and groups of all components",
        "Install the packages of all components",
        # The one of an image, which a machine does not run.
        "Install the packages of all components",
        *(f"Bring {name}" for name in components),
        "Settle the machine",
        "Restart the machine when it suits: its kernel takes other arguments at a start only",
        "Write the files that apt reads",
        "Change the gate",
        "Confirm the gate",
        "Start what waited for the gate",
    ]
    assert len(components) > 5


def test_component_brings_its_files_and_leaves_units_to_the_machine() -> None:
    tasks = rendered()[f"{ROLE}/main.yml"]
    assert [task["name"] for task in tasks] == COMPONENT_TASKS
    assert tasks[-1]["when"] == "not apply_component_is_running"


def test_files_of_apt_and_of_the_gate_come_in_their_own_steps_alone() -> None:
    variables = rendered()["project/group_vars/all.yml"]
    [machine] = variables["gnoppix_machine"]
    early = {file["path"] for each in variables["gnoppix_components"] for file in each["files"]}
    apt = {file["path"] for file in machine["apt_files"]}
    gate = {file["path"] for file in machine["gate_files"]}
    assert "/etc/gnoppix/firewall.nft" in gate
    assert apt
    assert all(path.startswith("/etc/apt/") for path in apt)
    assert early.isdisjoint(apt | gate)
    assert apt.isdisjoint(gate)
    assert early | apt == set(machine["files"])


def test_image_and_machine_differ_in_one_variable() -> None:
    plays = {
        target: yaml.safe_load((PLAYBOOKS / f"{target}.yml").read_text())
        for target in ("image", "machine")
    }
    for target, [play] in plays.items():
        assert play.pop("vars") == {"gnoppix_target": target}
        del play["name"]
    assert plays["image"] == plays["machine"]
    assert plays["image"] == [{"ansible.builtin.import_playbook": "site.yml"}]

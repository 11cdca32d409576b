# SPDX-License-Identifier: GPL-3.0-or-later
"""Several machines in one play: a failure says whose it is, and the others go on to their end."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gnoppix_build.app.provision import Host
from gnoppix_build.cli.provision import SshMachines
from gnoppix_build.effects.ansible import Failure, HostsFault, Listener, PlayOptions, provision
from gnoppix_build.targets.remote import parse_address

# A loop's failure is followed by that of its task; what is ignored is no failure.
PLAY = """\
- name: Play
  hosts: all
  gather_facts: false
  tasks:
    - name: Look
      ansible.builtin.command: "false"
      ignore_errors: true
      changed_when: false
    - name: Ask
      ansible.builtin.assert:
        that: "inventory_hostname not in losers or item != 'two'"
        fail_msg: "{{ inventory_hostname }} has no {{ item }}"
      loop: [one, two]
    - name: Change
      ansible.builtin.command: "true"
      changed_when: inventory_hostname == 'north'
"""
HERE: dict[str, object] = {"ansible_connection": "local"}
# Nobody listens at the port of `discard`.
NOWHERE: dict[str, object] = {
    "ansible_connection": "ssh",
    "ansible_host": "127.0.0.1",
    "ansible_port": 9,
}


def play(
    folder: Path, losers: list[str], hosts: Mapping[str, Mapping[str, object]]
) -> Mapping[str, int]:
    project = folder / "tree/project"
    project.mkdir(parents=True)
    (project / "machine.yml").write_text(PLAY)
    variables = {"losers": losers, "ansible_python_interpreter": "/usr/bin/python3"}
    return provision(
        folder / "tree",
        {name: {**way, **variables} for name, way in hosts.items()},
        log=folder / "log",
        artifacts=folder / "artifacts",
        options=PlayOptions(),
        listener=Listener(),
        agent=None,
        timeout_s=120,
    )


def test_each_host_that_fails_is_named_with_its_own_reason(tmp_path: Path) -> None:
    hosts = {"north": HERE, "east": HERE, "south": HERE, "west": NOWHERE}
    with pytest.raises(HostsFault) as caught:
        play(tmp_path, ["east", "south"], hosts)
    fault = caught.value
    line = PLAY.splitlines().index("    - name: Ask") + 1
    told = {each.host: each for each in fault.failures}
    for name in ("east", "south"):
        place = f"machine.yml:{line}"
        assert told.pop(name) == Failure(name, "Ask", place, f"{name} has no two")
        assert f"`{name}`: `Ask` ({place}): {name} has no two" in fault.message.splitlines()
    unreachable = told.pop("west")
    assert unreachable.task == "Look"
    # By which of its sentences the connection is missed, depends on who is quicker; each names ssh.
    assert "ssh" in unreachable.message.lower()
    assert (told, fault.changed) == ({}, {"north": 1})


def test_configuration_of_ssh_may_lie_in_a_path_with_a_space(tmp_path: Path) -> None:
    configuration = tmp_path / "my own" / "ssh_config"
    configuration.parent.mkdir()
    configuration.write_text(f"Host box.example\n  ProxyCommand touch {tmp_path}/read\n")
    host = Host(parse_address("ssh://box.example"), None, is_root=True)
    hosts = SshMachines(configuration).inventory_of([host], undo_after=120)
    with pytest.raises(HostsFault):
        play(tmp_path, [], hosts)
    assert (tmp_path / "read").exists()


def test_hosts_that_all_end_well_are_told_what_changed(tmp_path: Path) -> None:
    assert play(tmp_path, [], {"north": HERE, "south": HERE}) == {"north": 1, "south": 0}

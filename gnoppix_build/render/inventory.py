# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of the playbooks is told; every text in its variables is unsafe.

Ansible would else take what a profile says for a template.
Source: "Advanced playbook syntax: unsafe or raw strings" of Ansible's guide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

import yaml

from gnoppix_build.render.described import DescribedComponent, DescribedMachine
from gnoppix_build.resolve.model import Target

_CONNECTIONS: Final[Mapping[Target, str | None]] = {"image": "gnoppix_image", "machine": None}


class _Unsafe(list[object]):
    """A list in which Ansible must not touch a text, however deep it lies.

    The tag stands at the list: at a scalar, ansible-core 2.19 reads `"0640"` again, as a number.
    """


class _InventoryDumper(yaml.SafeDumper):
    """Writes unsafe texts with their tag, no anchors, and the items of a list below their key."""

    def ignore_aliases(self, _data: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        super().increase_indent(flow, indentless=False)


def _represent_unsafe(dumper: yaml.SafeDumper, values: _Unsafe) -> yaml.SequenceNode:
    return dumper.represent_sequence("!unsafe", values)


_InventoryDumper.add_representer(_Unsafe, _represent_unsafe)


def write_hosts(target: Target) -> bytes:
    """Write the inventory's one host; a machine's connection is given by the run."""
    connection = _CONNECTIONS[target]
    variables = {"ansible_connection": connection} if connection else {}
    return _dump({"all": {"hosts": {target: variables}}})


def write_component_tasks(names: Sequence[str]) -> bytes:
    """Write the tasks that bring `gnoppix_components`, each with its component's name as a tag."""
    return _dump(
        [
            {
                "name": f"Bring {name}",
                "ansible.builtin.include_role": {
                    "name": "apply_component",
                    "apply": {"tags": [name]},
                },
                "vars": {
                    "apply_component_target": "{{ gnoppix_target }}",
                    **{
                        f"apply_component_{field}": f"{{{{ gnoppix_components[{index}].{field} }}}}"
                        for field in ("name", "files", "payloads", "units", "tasks")
                    },
                },
                "tags": [name],
            }
            for index, name in enumerate(names)
        ]
    )


def write_variables(
    components: Sequence[DescribedComponent], machine: DescribedMachine | None
) -> bytes:
    """Write `gnoppix_components` and, for a machine, `gnoppix_machine`, a list of one."""
    further = {"gnoppix_machine": _Unsafe([asdict(machine)])} if machine else {}
    return _dump({"gnoppix_components": _Unsafe(map(asdict, components)), **further})


def _dump(document: object) -> bytes:
    text = yaml.dump(document, Dumper=_InventoryDumper, sort_keys=False, width=4096)
    return f"---\n{text}".encode()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory that a run of the playbooks gets; every text in its variables is unsafe.

Ansible would else take what a profile says for a template.
Source: "Advanced playbook syntax: unsafe or raw strings" of Ansible's guide.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import yaml

from gnoppix_build.lock.wanted import component_packages
from gnoppix_build.render.tree import ImageFile
from gnoppix_build.resolve.model import Resolved, ResolvedComponent, Target

_CONNECTIONS: Final[Mapping[Target, str | None]] = {"image": "gnoppix_image", "machine": None}
_EXTRA_PACKAGES: Final = "packages-of-the-profile"


class _Unsafe(list[object]):
    """A list in which Ansible must not touch a text, however deep it lies.

    The tag stands at the list: at a scalar, ansible-core 2.19 reads `"0640"` again, as a number.
    """


class _InventoryDumper(yaml.SafeDumper):
    """Writes unsafe texts with their tag, and no anchors."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _represent_unsafe(dumper: yaml.SafeDumper, values: _Unsafe) -> yaml.SequenceNode:
    return dumper.represent_sequence("!unsafe", values)


_InventoryDumper.add_representer(_Unsafe, _represent_unsafe)


def write_hosts(target: Target) -> bytes:
    """Write the inventory's one host; a machine's connection is given by the run."""
    connection = _CONNECTIONS[target]
    variables = {"ansible_connection": connection} if connection else {}
    return _dump({"all": {"hosts": {target: variables}}})


def write_variables(
    resolved: Resolved, files: Sequence[ImageFile], with_tasks: frozenset[str]
) -> bytes:
    """Write `gnoppix_components`; `with_tasks` names the components that have a task file.

    A file's bytes lie in `project/files/COMPONENT` under its own path.
    """
    components = [
        _describe(component, files, has_tasks=component.name in with_tasks)
        for component in resolved.components
    ]
    if resolved.packages:
        components.append(
            {
                "name": _EXTRA_PACKAGES,
                "packages": sorted(resolved.packages),
                "files": [],
                "units": {"enable": [], "disable": [], "mask": []},
                "tasks": False,
            }
        )
    return _dump({"gnoppix_components": _Unsafe(components)})


def _describe(
    component: ResolvedComponent, files: Sequence[ImageFile], *, has_tasks: bool
) -> dict[str, object]:
    units = [each.units for each in component.contributions]
    return {
        "name": component.name,
        "packages": sorted({*component_packages(component)}),
        "files": [
            {
                "path": file.path,
                "mode": f"{file.mode:04o}",
                "owner": file.owner,
                "group": file.group,
            }
            for file in files
            if file.origin == component.name
        ],
        "units": {
            "enable": sorted({unit for each in units for unit in each.enable}),
            "disable": sorted({unit for each in units for unit in each.disable}),
            "mask": sorted({unit for each in units for unit in each.mask}),
        },
        "tasks": has_tasks,
    }


def _dump(document: object) -> bytes:
    text = yaml.dump(document, Dumper=_InventoryDumper, sort_keys=False, width=4096)
    return f"---\n{text}".encode()

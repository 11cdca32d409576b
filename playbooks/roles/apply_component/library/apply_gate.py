# SPDX-License-Identifier: GPL-3.0-or-later
"""Change what decides who gets into a machine, in one step that undoes itself."""

from ansible.module_utils import gnoppix_gate as gate
from ansible.module_utils import gnoppix_units as units
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.gnoppix_files import FILE_OPTIONS, Wanted, find_differences
from ansible.module_utils.gnoppix_record import Record, describe_gone

DOCUMENTATION = """
module: apply_gate
author: the gnoppix-build developers
short_description: Change firewall, network and remote access of a machine, undone unless confirmed
options:
  files:
    description: As of apply_files.
    type: list
    elements: dict
    required: true
  units:
    description: As of settle_machine.
    type: list
    elements: dict
    required: true
  undo_after:
    description: The seconds after which the change is undone if nobody has confirmed it.
    type: int
    required: true
  session_port:
    description: The port of sessions that are to go on; 0 for none.
    type: int
    default: 0
"""
KEYS = ("unit", "wanted", "component", "part")


class Change:
    """What differs between the machine and the profile."""

    def __init__(self, params):
        self.record = Record.load()
        wanted = [Wanted(entry) for entry in params["files"]]
        self.differences = {file.path: find_differences(file) for file in wanted}
        paths = {file.path for file in wanted}
        names = {unit["unit"] for unit in params["units"]}
        self.gone_files = self.record.gone_files("gate", paths)
        self.gone_units = self.record.gone_units("gate", names)
        changes = {unit["unit"]: unit["wanted"] for unit in params["units"]}
        lacks = units.find_lacks(changes, units.states_of(changes))
        self.to_set = {name: (lack, changes[name]) for name, lack in lacks.items()}
        changed = [file for file in wanted if self.differences[file.path]]
        unsettled = self.record.unsettled_of("gate")
        stirred = {file.component for file in changed if file.path not in self.gone_files}
        stirred |= {self.record.files[path]["component"] for path in unsettled}
        self.switch = {
            "files": [each for each in params["files"] if self.differences[each["path"]]],
            "units": params["units"],
            "gone_files": self.gone_files,
            "gone_units": self.gone_units,
            "stirred": sorted(stirred),
        }
        self.is_needed = bool(
            changed or unsettled or self.gone_files or self.gone_units or self.to_set
        )

    def diff(self):
        """Give what --diff prints."""
        found = [each for differences in self.differences.values() for each in differences]
        found += [describe_gone(path, self.record.files[path]) for path in self.gone_files]
        changes = {**self.to_set}
        for name in self.gone_units:
            entry = self.record.units[name]
            changes[name] = (entry["wanted"], entry["before"])
        found += [
            {
                "before_header": name,
                "after_header": name,
                "before": f"{before}\n",
                "after": f"{after}\n",
            }
            for name, (before, after) in changes.items()
        ]
        return found


def main():
    """Compare, and have the change made."""
    unit_options = {key: {"type": "str", "required": True} for key in KEYS}
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": FILE_OPTIONS,
            },
            "units": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": unit_options,
            },
            "undo_after": {"type": "int", "required": True},
            "session_port": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
        no_log=True,
    )
    try:
        change = Change(module.params)
        if change.is_needed and not module.check_mode:
            seconds, port = module.params["undo_after"], module.params["session_port"]
            gate.arm(change.switch, seconds, port)
    except (OSError, ValueError, units.Refused) as error:
        module.fail_json(msg=str(error), invocation={})
    module.exit_json(
        changed=change.is_needed, diff=change.diff() if module._diff else [], invocation={}
    )


if __name__ == "__main__":
    main()

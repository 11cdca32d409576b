# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a machine's units in step with its files, and take away what no component brings."""

from ansible.module_utils import gnoppix_units as units
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.gnoppix_record import Record, describe_gone

DOCUMENTATION = """
module: settle_machine
author: the gnoppix-build developers
short_description: Set the units of all components and remove what is gone from the profile
description:
  - Files and units that the record has and the profile has not go back to what they were.
  - AppArmor profiles, kernel settings and temporary folders are read anew before any unit starts.
    Units of components whose files changed are stopped, then all that is enabled is started.
  - The journal, compressed memory, the initrds and the boot loader's menu are made anew when their
    files changed; nothing happens to the last two without their program, or in a container.
options:
  files:
    description: The paths of all files that the profile brings outside the gate.
    type: list
    elements: str
    default: []
  units:
    description: Each unit with what is wanted of it, enable, disable or mask, and its component.
    type: list
    elements: dict
    required: true
  tags:
    description:
      - The components whose units are set, as Ansible takes tags. Those of others are set where
        the component is here from an earlier run and the unit is there.
    type: list
    elements: str
    default: [all]
  skip_tags:
    description: The components that are none of those.
    type: list
    elements: str
    default: []
  is_start:
    description: Only start what is enabled, and say what of it fails.
    type: bool
    default: false
"""
RETURN = """
awaits_start:
  description: Whether the kernel gets other arguments from the next start on.
  type: bool
  returned: always
"""
UNIT_OPTIONS = {
    "unit": {"type": "str", "required": True},
    "wanted": {"type": "str", "choices": ["enable", "disable", "mask"], "required": True},
    "component": {"type": "str", "required": True},
    "part": {"type": "str", "required": True},
}


# Source: systemctl(1), "Exit status".
NOT_THERE_YET = (0, 1, 5)
EVERY_COMPONENT = {"all", "tagged"}


class Change:
    """What differs between the machine and the profile."""

    def __init__(self, params):
        self.record = Record.load()
        self.wanted = choose_units(params, self.record)
        paths = frozenset(params["files"])
        self.gone_files = [
            path for part in ("ordinary", "apt") for path in self.record.gone_files(part, paths)
        ]
        self.gone_units = self.record.gone_units("ordinary", {*names_of(params["units"])})
        changes = {unit["unit"]: unit["wanted"] for unit in self.wanted}
        self.lacks = units.find_lacks(changes, units.states_of(changes))

        # Of a component that does not come now, its own tasks are still to be run as well.
        self.unsettled = [
            path
            for path in self.record.unsettled_of("ordinary")
            if is_chosen(params, self.record.files[path]["component"])
        ]

    @property
    def is_needed(self):
        """Tell whether anything is to be done, be it what an earlier run left."""
        return any((self.gone_files, self.gone_units, self.lacks, self.unsettled))

    def diff(self):
        """Give what --diff prints."""
        found = [describe_gone(path, self.record.files[path]) for path in self.gone_files]
        found += describe_lacks(self.wanted, self.lacks)
        for unit in self.gone_units:
            entry = self.record.units[unit]
            after = f"{unit} ({entry['component']} is not in the profile)"
            found.append(describe(unit, after, entry["wanted"], entry["before"]))
        return found


def is_chosen(params, component):
    """Tell whether a component comes in this run. Source: Ansible's special tags."""
    is_tagged = {*params["tags"]} & {component, *EVERY_COMPONENT}
    return component not in params["skip_tags"] and bool(is_tagged)


def choose_units(params, record):
    """Give the units to see to: none of a component that has not been here and does not come."""

    def is_here(unit):
        is_brought = record.has_brought(unit["component"])
        return is_brought and units.enabled_state(unit["unit"]) != "not-found"

    return [
        unit for unit in params["units"] if is_chosen(params, unit["component"]) or is_here(unit)
    ]


def names_of(wanted, change=None):
    """Name the units, or those of which one thing is wanted."""
    return [unit["unit"] for unit in wanted if change in {None, unit["wanted"]}]


def describe(name, after_name, before, after):
    """Give what --diff prints of a unit."""
    headers = {"before_header": name, "after_header": after_name}
    return {**headers, "before": f"{before}\n", "after": f"{after}\n"}


def describe_lacks(wanted, lacks):
    """Give what --diff prints of the units that are not as they are wanted."""
    return [
        describe(
            unit["unit"],
            f"{unit['unit']} ({unit['component']})",
            lacks[unit["unit"]],
            unit["wanted"],
        )
        for unit in wanted
        if unit["unit"] in lacks
    ]


def start(wanted, good=(0,)):
    """Start what is enabled."""
    enabled = names_of(wanted, "enable")
    units.start_enabled(enabled, good)
    if failed := units.failed_among(enabled):
        raise units.Refused("; ".join(failed))


def settle(change):
    """Do it; whatever is interrupted is done again by the next run.

    Tells whether the kernel gets other arguments from the next start on.
    """
    record, gone_files = change.record, change.gone_files
    changed = change.unsettled
    stirred = record.stirred_by(changed)
    for unit in change.gone_units:
        units.release_unit(unit, record.units.pop(unit))
    units.forget_files(gone_files)
    for path in gone_files:
        record.give_back_file(path)
    units.read_files([*changed, *gone_files])
    units.write_initrds([*changed, *gone_files])
    awaits_start = units.write_boot_menu([*changed, *gone_files])
    for unit in change.wanted:
        if unit["unit"] in change.lacks:
            units.set_unit(unit["unit"], unit["wanted"])
    units.run("systemctl", "daemon-reload")
    for unit in change.wanted:
        if unit["unit"] in change.lacks or unit["component"] in stirred:
            units.stop_unit(unit["unit"])
    # What requires a unit of the gate is started after it.
    start(change.wanted, NOT_THERE_YET)
    settled = {*changed, *gone_files}
    record.unsettled = [path for path in record.unsettled if path not in settled]
    record.save()
    return awaits_start


def start_idle(module):
    """Start what is enabled and does not run; gives what --diff prints of it."""
    chosen = choose_units(module.params, Record.load())
    wanted = [unit for unit in chosen if unit["wanted"] == "enable"]
    states = units.states_of(names_of(wanted))
    targets = units.active_targets()
    idle = {
        name: f"{state['enabled']}, {state['ActiveState']}"
        for name, state in states.items()
        if units.is_as_wanted("enable", state["enabled"]) and units.is_idle(state, targets)
    }
    if not module.check_mode:
        start(wanted)
    return describe_lacks(wanted, idle)


def main():
    """Compare, and do what differs."""
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "str", "default": []},
            "is_start": {"type": "bool", "default": False},
            "tags": {"type": "list", "elements": "str", "default": ["all"]},
            "skip_tags": {"type": "list", "elements": "str", "default": []},
            "units": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": UNIT_OPTIONS,
            },
        },
        supports_check_mode=True,
    )
    awaits_start = False
    try:
        if module.params["is_start"]:
            diff = start_idle(module)
            is_changed = bool(diff)
        else:
            change = Change(module.params)
            diff = change.diff()
            is_changed = change.is_needed
            if is_changed and not module.check_mode:
                awaits_start = settle(change)
    except (OSError, ValueError, units.Refused) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=is_changed, awaits_start=awaits_start, diff=diff if module._diff else []
    )


if __name__ == "__main__":
    main()

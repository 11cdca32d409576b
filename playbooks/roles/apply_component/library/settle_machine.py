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
  - The boot loader writes its menu anew when its files changed; nothing happens without one, or in
    a container.
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


def start(wanted):
    """Start what is enabled."""
    enabled = [unit["unit"] for unit in wanted if unit["wanted"] == "enable"]
    units.start_enabled(enabled)
    if failed := units.failed_among(enabled):
        raise units.Refused("; ".join(failed))


def settle(wanted, record, gone_files, gone_units, to_set):
    """Do it; whatever is interrupted is done again by the next run.

    Tells whether the kernel gets other arguments from the next start on.
    """
    changed = record.unsettled_of("ordinary")
    stirred = record.stirred_by(changed)
    for unit in gone_units:
        units.release_unit(unit, record.units.pop(unit))
    units.forget_files(gone_files)
    for path in gone_files:
        record.give_back_file(path)
    units.read_files([*changed, *gone_files])
    awaits_start = units.write_boot_menu([*changed, *gone_files])
    for unit in to_set:
        units.set_unit(unit["unit"], unit["wanted"])
    units.run("systemctl", "daemon-reload")
    for unit in wanted:
        if unit in to_set or unit["component"] in stirred:
            units.stop_unit(unit["unit"])
    start(wanted)
    settled = {*changed, *gone_files}
    record.unsettled = [path for path in record.unsettled if path not in settled]
    record.save()
    return awaits_start


def main():
    """Compare, and do what differs."""
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "str", "default": []},
            "is_start": {"type": "bool", "default": False},
            "units": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": UNIT_OPTIONS,
            },
        },
        supports_check_mode=True,
    )
    wanted = module.params["units"]
    try:
        if module.params["is_start"]:
            if not module.check_mode:
                start(wanted)
            module.exit_json(changed=False, awaits_start=False)
        record = Record.load()
        paths = frozenset(module.params["files"])
        gone_files = [*record.gone_files("ordinary", paths), *record.gone_files("apt", paths)]
        gone_units = record.gone_units("ordinary", {unit["unit"] for unit in wanted})
        states = {unit["unit"]: units.enabled_state(unit["unit"]) for unit in wanted}
        to_set = [
            unit for unit in wanted if not units.is_as_wanted(unit["wanted"], states[unit["unit"]])
        ]
        diff = [describe_gone(path, record.files[path]) for path in gone_files]
        diff += [
            {
                "before_header": unit["unit"],
                "after_header": f"{unit['unit']} ({unit['component']})",
                "before": f"{states[unit['unit']]}\n",
                "after": f"{unit['wanted']}\n",
            }
            for unit in to_set
        ]
        diff += [
            {
                "before_header": unit,
                "after_header": f"{unit} ({record.units[unit]['component']} is not in the profile)",
                "before": f"{record.units[unit]['wanted']}\n",
                "after": f"{record.units[unit]['before']}\n",
            }
            for unit in gone_units
        ]
        is_changed = bool(diff or record.unsettled_of("ordinary"))
        awaits_start = False
        if is_changed and not module.check_mode:
            awaits_start = settle(wanted, record, gone_files, gone_units, to_set)
    except (OSError, ValueError, units.Refused) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=is_changed, awaits_start=awaits_start, diff=diff if module._diff else []
    )


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a machine before anything is changed: its suite, and the units as they are."""

from ansible.module_utils import gnoppix_gate as gate
from ansible.module_utils import gnoppix_units as units
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.gnoppix_record import Record

DOCUMENTATION = """
module: begin_machine
author: the gnoppix-build developers
short_description: Refuse a machine of another suite, and note the state of its units
description:
  - A change of the gate that an earlier run left unconfirmed is confirmed by the fresh connection
    that this run came by, or goes back if it came by none.
options:
  suite:
    description: The release of Debian that the profile is for.
    type: str
    required: true
  is_remote:
    description: Whether the machine is reached over the network.
    type: bool
    required: true
  units:
    description: Each unit with what is wanted of it, its component and its part.
    type: list
    elements: dict
    required: true
"""
KEYS = ("unit", "wanted", "component", "part")


def read_suite():
    """Give the machine's release. Source: os-release(5)."""
    with open("/etc/os-release", encoding="utf-8") as stream:
        pairs = dict(line.strip().split("=", 1) for line in stream if "=" in line)
    return pairs.get("VERSION_CODENAME", pairs.get("ID", "of no name")).strip('"')


def main():
    """Compare suites, end what an earlier run left, and note units."""
    unit_options = {key: {"type": "str", "required": True} for key in KEYS}
    module = AnsibleModule(
        argument_spec={
            "suite": {"type": "str", "required": True},
            "is_remote": {"type": "bool", "required": True},
            "units": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": unit_options,
            },
        },
        supports_check_mode=True,
    )
    suite, found = module.params["suite"], read_suite()
    if found != suite:
        module.fail_json(msg=f"the machine has the suite `{found}`, the profile is for `{suite}`")
    if module.check_mode:
        module.exit_json(changed=False)
    try:
        if gate.is_pending():
            if module.params["is_remote"] and not gate.is_going_back():
                gate.confirm()
            else:
                gate.go_back("the run that changed it was interrupted")
        record = Record.load()
        noted = [
            record.take_unit(
                unit["unit"],
                unit["component"],
                unit["part"],
                unit["wanted"],
                units.enabled_state(unit["unit"]),
            )
            for unit in module.params["units"]
        ]
        if any(noted):
            record.save()
    except (OSError, ValueError, units.Refused) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a change of a machine's gate, once somebody has come through it."""

from ansible.module_utils import gnoppix_gate as gate
from ansible.module_utils import gnoppix_units as units
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: confirm_gate
author: the gnoppix-build developers
short_description: Wait for the change of a machine's gate, and keep it
options:
  is_final:
    description: Whether to keep the change, or only to wait until it is made.
    type: bool
    required: true
  session_port:
    description:
      - Where somebody has to come in first, for a machine that changes itself; 0 for nowhere.
    type: int
    default: 0
  seconds:
    description: How long to wait for that.
    type: int
    default: 0
"""


def main():
    """Wait, and confirm."""
    module = AnsibleModule(
        argument_spec={
            "is_final": {"type": "bool", "required": True},
            "session_port": {"type": "int", "default": 0},
            "seconds": {"type": "int", "default": 0},
        }
    )
    port = module.params["session_port"]
    try:
        gate.await_end()
        if module.params["is_final"]:
            if port:
                gate.await_session(port, module.params["seconds"])
            gate.confirm()
    except (OSError, ValueError, units.Refused) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()

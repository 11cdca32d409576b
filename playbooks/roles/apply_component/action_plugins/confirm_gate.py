# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of `confirm_gate`: come through the gate by a connection of its own."""

import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

PAUSE_S = 1.0


class ActionModule(ActionBase):
    """Wait until the change is made, then knock again: only that connection is a proof."""

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Wait for the change, or confirm it; connections that break meanwhile are no fault."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if self._connection.transport != "local":
            # The connection itself is what has come through.
            arguments["session_port"] = 0
        deadline = time.monotonic() + arguments["seconds"]
        while True:
            if hasattr(self._connection, "reset"):
                self._connection.reset()
            try:
                result: dict[str, Any] = self._execute_module(
                    module_name="confirm_gate", module_args=arguments, task_vars=task_vars
                )
            except AnsibleConnectionFailure as error:
                if time.monotonic() > deadline:
                    return {
                        "failed": True,
                        "msg": "nothing gets through the new gate: the machine goes back to what "
                        f"it was by itself, within {arguments['seconds']} s ({error})",
                    }
                time.sleep(PAUSE_S)
            else:
                return result

# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of what brings files: read the final bytes and hand them over."""

import base64
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """One transfer for all files; with `gate`, whatever else apply_gate takes, by that module."""

    _supports_check_mode = True
    _supports_diff = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send each file with its bytes; the result holds no bytes but those of a wanted diff."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        own = arguments.pop("component", "")
        files = [self._read(entry, entry.get("component") or own) for entry in arguments["files"]]
        gate = arguments.pop("gate", None)
        result: dict[str, Any] = self._execute_module(
            module_name="apply_files" if gate is None else "apply_gate",
            module_args={**arguments, **(gate or {}), "files": files},
            task_vars=task_vars,
        )
        result.pop("invocation", None)
        return result

    def _read(self, entry: Mapping[str, str], component: str) -> dict[str, str]:
        folder = Path(self._loader.get_basedir()) / "files" / component
        kept = {key: entry[key] for key in ("path", "mode", "owner", "group")}
        content = base64.b64encode(_read_source(folder, entry)).decode()
        return {**kept, "component": component, "content": content}


def _read_source(folder: Path, entry: Mapping[str, str]) -> bytes:
    """Read a file below the component's folder, by its own name if `source` gives no other."""
    name = entry.get("source") or entry["path"]
    source = folder / name.lstrip("/")
    if ".." in source.parts:
        raise AnsibleActionFail(f"the source {name} leaves its folder")
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
        with open(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise AnsibleActionFail(f"the source {name} is no regular file")
            return stream.read()
    except OSError as error:
        raise AnsibleActionFail(f"the source {source}: {error.strerror}") from error

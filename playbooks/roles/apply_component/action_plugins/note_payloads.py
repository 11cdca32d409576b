# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of `note_payloads`: what each payload is to be, and is here."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

DIGESTS = "SHA256SUMS"


class ActionModule(ActionBase):
    """Read the digests beside the payloads; what will be copied is verified first."""

    _supports_check_mode = True
    _supports_diff = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Have the machine compare, and hold what it lacks against its digest."""
        super().run(tmp, task_vars)
        folder = Path(self._loader.get_basedir()) / "payload"
        digests = _read_digests(folder)
        paths = [str(path) for path in self._task.args["paths"]]
        payloads = [_describe(folder, path, digests) for path in paths]
        result: dict[str, Any] = self._execute_module(
            module_name="note_payloads",
            module_args={"component": self._task.args["component"], "payloads": payloads},
            task_vars=task_vars,
        )
        result.pop("invocation", None)
        for path in result.get("paths", ()):
            _verify(folder, path, digests[path])
        return result


def _read_digests(folder: Path) -> Mapping[str, str]:
    """Give path on the machine -> digest. Source: sha256sum(1)."""
    try:
        lines = (folder / DIGESTS).read_text().splitlines()
    except OSError as error:
        raise AnsibleActionFail(
            f"{folder / DIGESTS}: {error.strerror}; `build-image render --payload` makes a tree "
            "with the private roots and models of the profile"
        ) from error
    pairs = (line.split("  ", 1) for line in lines)
    return {f"/{name}": digest for digest, name in pairs}


def _describe(folder: Path, path: str, digests: Mapping[str, str]) -> dict[str, object]:
    source = _source_of(folder, path)
    if path not in digests or not source.is_file():
        raise AnsibleActionFail(f"{source} is missing, or {DIGESTS} does not name it")
    return {"path": path, "size": source.stat().st_size, "sha256": digests[path]}


def _source_of(folder: Path, path: str) -> Path:
    source = folder / path.lstrip("/")
    if ".." in source.parts:
        raise AnsibleActionFail(f"the payload {path} leaves its folder")
    return source


def _verify(folder: Path, path: str, digest: str) -> None:
    source = _source_of(folder, path)
    with source.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != digest:
            raise AnsibleActionFail(f"{source} is not what {DIGESTS} says")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's own modules, imported by the names that they have on a machine."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import ansible.module_utils
import pytest

ROLE = Path(__file__).parents[2] / "playbooks" / "roles" / "apply_component"
PACKAGE = ansible.module_utils.__name__


def load_role_module(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import one of `module_utils`; it and those that it takes are new for each test."""
    path = [*ansible.module_utils.__path__, str(ROLE / "module_utils")]
    monkeypatch.setattr(ansible.module_utils, "__path__", path)
    for known in [each for each in sys.modules if each.startswith(f"{PACKAGE}.gnoppix_")]:
        monkeypatch.delitem(sys.modules, known)
        monkeypatch.delattr(ansible.module_utils, known.rpartition(".")[2])
    return import_module(f"{PACKAGE}.{name}")

# SPDX-License-Identifier: GPL-3.0-or-later
"""A component's check file as a module, for tests that call its checks by themselves."""

import importlib.util
from types import ModuleType

import pytest

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, check_file_name
from gnoppix_build.checks.plugin import TIERS


def load_checks(component: str, config: pytest.Config) -> ModuleType:
    """Load the file, whose marks this run of pytest knows from then on."""
    for mark in (*TIERS, "destructive"):
        config.addinivalue_line("markers", f"{mark}: of a check")
    path = COMPONENTS_FOLDER / component / check_file_name(component)
    spec = importlib.util.spec_from_file_location(component, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

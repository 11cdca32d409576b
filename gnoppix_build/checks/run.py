# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the components' check files on a target."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from gnoppix_build.checks.context import CheckContext
from gnoppix_build.checks.finding import Finding, Tier
from gnoppix_build.checks.plugin import CheckPlugin

NO_PLUGINS = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"
ADDED_OPTIONS = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")
COMPLETE = (
    pytest.ExitCode.OK,
    pytest.ExitCode.TESTS_FAILED,
    pytest.ExitCode.NO_TESTS_COLLECTED,
)


class BrokenChecks(Exception):
    """Check files that cannot prove anything: nothing was run."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


def run_checks(check_files: Mapping[str, Path], tier: Tier, context: CheckContext) -> list[Finding]:
    """Run the tier's checks, destructive ones last.

    `check_files`: component -> its check file. Raises BrokenChecks for a file without a check, a
    check without a tier or a file that does not load, and whatever `context.abort_on` names.
    """
    if not check_files:
        return []
    paths = {path.resolve(): component for component, path in check_files.items()}
    plugin = CheckPlugin(paths, tier, context)
    with _undisturbed_python(), _forgotten_modules(list(paths)):
        status = pytest.main(_pytest_arguments(list(paths)), plugins=[plugin])
    if plugin.abortion is not None:
        raise plugin.abortion
    if plugin.faults:
        raise BrokenChecks(plugin.faults)
    if status not in COMPLETE:
        raise BrokenChecks([f"pytest ended with status {int(status)}"])
    return plugin.findings


def _pytest_arguments(paths: Sequence[Path]) -> list[str]:
    # Below it, pytest names modules by their folders: a component `time` is not to be `time`.
    root = os.path.commonpath([path.parent.parent.parent for path in paths])
    return [
        *("-c", os.devnull, "--rootdir", root, "--noconftest", "--strict-markers"),
        "--continue-on-collection-errors",
        *("-p", "no:cacheprovider", "-p", "no:terminal", "--import-mode=importlib"),
        *("-o", "python_functions=test_ check_"),
        *(str(path) for path in paths),
    ]


@contextmanager
def _undisturbed_python() -> Iterator[None]:
    """Keep the caller's pytest settings out, and compiled files out of the components."""
    environment = {name: os.environ.pop(name, None) for name in (NO_PLUGINS, *ADDED_OPTIONS)}
    os.environ[NO_PLUGINS] = "1"
    writes_no_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_no_bytecode
        del os.environ[NO_PLUGINS]
        os.environ.update({name: text for name, text in environment.items() if text is not None})


@contextmanager
def _forgotten_modules(paths: Sequence[Path]) -> Iterator[None]:
    """Forget the check modules, which pytest would else take again by their names alone."""
    try:
        yield
    finally:
        files = {str(path) for path in paths}
        for name, module in list(sys.modules.items()):
            if getattr(module, "__file__", None) in files:
                del sys.modules[name]

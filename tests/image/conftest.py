# SPDX-License-Identifier: GPL-3.0-or-later
"""Real builds, shared by the tests that look at them."""

import time

import pytest
from bench import TIMES, Bench, Built, tell_time


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TIMES:
        terminalreporter.section("budgets of slow fixtures")
        for line in TIMES:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def cold_build(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build `minimal` from an empty cache."""
    bench = Bench(tmp_path_factory.mktemp("bench"))
    result = bench.folder / "out"
    start = time.monotonic()
    done = bench.run("build", "minimal", "-o", result)
    tell_time("cold build", start)
    assert done.status == 0, done.talk
    return Built(bench, result, done.talk)

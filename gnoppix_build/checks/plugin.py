# SPDX-License-Identifier: GPL-3.0-or-later
"""The pytest plugin of one run: fixtures, selection by tier, and findings from reports."""

from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from gnoppix_build.checks.context import CheckContext, Lan, Snapshots, Wire
from gnoppix_build.checks.finding import Finding, Outcome, Tier
from gnoppix_build.checks.visibility import NotVisible

TIERS: tuple[Tier, ...] = ("static", "running", "traffic", "offline")
SNAPSHOT = "before-destructive"
EVIDENCE_LINES = 4
EVIDENCE_CHARACTERS = 600


class CheckPlugin:
    """Collects what is wrong with the check files, then what the checks found.

    `components`: resolved path of a check file -> component.
    """

    def __init__(self, components: Mapping[Path, str], tier: Tier, context: CheckContext) -> None:
        self.findings: list[Finding] = []
        self.faults: list[str] = []
        self.abortion: BaseException | None = None
        self._components = components
        self._tier = tier
        self._context = context
        self._is_snapshot_saved = False
        self._unreadable: set[Path] = set()

    def pytest_configure(self, config: pytest.Config) -> None:
        """Declare the marks."""
        config.addinivalue_line("markers", "static: looks at a tree, no code of which runs")
        config.addinivalue_line("markers", "running: looks at a booted system")
        config.addinivalue_line("markers", "traffic: looks at a system on a hostile network")
        config.addinivalue_line("markers", "offline: looks at a system without a network card")
        config.addinivalue_line("markers", "destructive: spoils the system; runs last, undone")

    @pytest.fixture
    def host(self) -> object:
        """Give the target."""
        return self._context.host

    @pytest.fixture
    def options(self, request: pytest.FixtureRequest) -> Mapping[str, object]:
        """Give the resolved options of the check's component."""
        return self._context.options.get(self._component_of(request.node), {})

    @pytest.fixture
    def policy(self) -> object:
        """Give what the network policy expects of the target."""
        return self._context.policy

    @pytest.fixture
    def profile(self) -> object:
        """Give the resolved profile."""
        return self._context.profile

    @pytest.fixture
    def wire(self) -> Wire:
        """Give the recording of the target's network card."""
        if self._context.wire is None:
            raise NotVisible("the target has no recording of its network")
        return self._context.wire

    @pytest.fixture
    def lan(self) -> Lan:
        """Give the hostile network that the target's card is on."""
        if self._context.lan is None:
            raise NotVisible("the target is not on a network of the test's own")
        return self._context.lan

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a check file that cannot be read."""
        if report.failed:
            self._unreadable |= {path for path in self._components if path.name in report.nodeid}
            self.faults.append(f"{report.nodeid}: {_cause_of(report.longreprtext)}")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the checks of the tier, destructive ones last; note what is wrong."""
        for item in items:
            self.faults += _mark_faults(item)
        checked = {item.path.resolve() for item in items} | self._unreadable
        self.faults += [
            f"{path.name}: no check in the check file of `{component}`"
            for path, component in self._components.items()
            if path not in checked
        ]
        if self.faults:
            items.clear()
            return
        selected = [item for item in items if item.get_closest_marker(self._tier)]
        items[:] = sorted(selected, key=_is_destructive)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Undo what a destructive check does."""
        snapshots = self._context.snapshots
        if not _is_destructive(item) or snapshots is None:
            return (yield)
        self._save_once(snapshots)
        result = yield
        if self.abortion is None:
            snapshots.restore(SNAPSHOT)
        return result

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Refuse to spoil a target that cannot go back."""
        if _is_destructive(item) and self._context.snapshots is None:
            raise NotVisible("the check spoils its target, which has no snapshot to go back to")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Turn the end of each phase into a finding: one for a check, as a rule."""
        report = yield
        error = call.excinfo.value if call.excinfo else None
        if isinstance(error, self._context.abort_on):
            self.abortion = error
            item.session.shouldstop = "the target is gone"
        elif error is None and call.when == "call":
            self._add(item, "pass", _promise_of(item), call.duration)
        elif isinstance(error, NotVisible):
            report.outcome = "skipped"
            self._add(item, "skip", error.reason, call.duration)
        elif isinstance(error, pytest.skip.Exception):
            self._add(item, "skip", str(error.msg), call.duration)
        elif error is not None:
            phase = "" if call.when == "call" else f"in {call.when}: "
            self._add(item, "fail", phase + _describe(error), call.duration)
        return report

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Keep what broke outside the checks, so that the run can raise it."""
        self.abortion = self.abortion or excinfo.value

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Keep a person's interruption, so that the run can raise it.

        Pytest ends a run with broken collection by an interruption of its own; the
        collection's faults tell more.
        """
        if not isinstance(excinfo.value, pytest.Session.Interrupted):
            self.abortion = excinfo.value

    def _save_once(self, snapshots: Snapshots) -> None:
        if not self._is_snapshot_saved:
            snapshots.save(SNAPSHOT)
            self._is_snapshot_saved = True

    def _component_of(self, item: pytest.Item) -> str:
        return self._components[item.path.resolve()]

    def _add(self, item: pytest.Item, outcome: Outcome, evidence: str, seconds: float) -> None:
        component = self._component_of(item)
        finding = Finding(item.name, component, self._tier, outcome, evidence, round(seconds, 3))
        self.findings.append(finding)
        self._context.tell(finding)


def _cause_of(traceback: str) -> str:
    """Keep what pytest marks as the error itself; a long way to it says less."""
    marked = [line[1:].strip() for line in traceback.splitlines() if line.startswith("E ")]
    return _shorten("\n".join(marked) or traceback)


def _mark_faults(item: pytest.Item) -> list[str]:
    tiers = [tier for tier in TIERS if item.get_closest_marker(tier)]
    if not tiers:
        return [f"{item.path.name}: `{item.name}` has no tier mark ({', '.join(TIERS)})"]
    if _is_destructive(item) and tiers != ["running"]:
        return [f"{item.path.name}: `{item.name}` is destructive, so it can only be `running`"]
    return []


def _is_destructive(item: pytest.Item) -> bool:
    return item.get_closest_marker("destructive") is not None


def _promise_of(item: pytest.Item) -> str:
    documentation: str | None = getattr(getattr(item, "obj", None), "__doc__", None)
    lines = (documentation or "").strip().splitlines()
    return lines[0].strip() if lines else item.name


def _describe(error: BaseException) -> str:
    if isinstance(error, AssertionError | pytest.fail.Exception):
        return _shorten(str(error)) or "assertion without a text"
    return _shorten(f"{type(error).__name__}: {error}")


def _shorten(text: str) -> str:
    lines = [line.rstrip() for line in text.strip().splitlines() if line.strip()]
    return "\n".join(lines[:EVIDENCE_LINES])[:EVIDENCE_CHARACTERS]

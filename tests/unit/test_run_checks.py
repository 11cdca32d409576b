# SPDX-License-Identifier: GPL-3.0-or-later
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gnoppix_build.checks.context import CheckContext
from gnoppix_build.checks.finding import Tier
from gnoppix_build.checks.run import BrokenChecks, run_checks
from gnoppix_build.targets.tree import TreeHost


@dataclass
class RecordedSnapshots:
    calls: list[str] = field(default_factory=list)

    def save(self, name: str) -> None:
        self.calls.append(f"save {name}")

    def restore(self, name: str) -> None:
        self.calls.append(f"restore {name}")


def find(
    folder: Path, text: str, tier: Tier = "static", context: CheckContext | None = None
) -> list[tuple[str, str, str]]:
    root = folder / "root"
    root.mkdir(exist_ok=True)
    file = folder / "check_fence.py"
    file.write_text(f"import pytest\n{text}")
    given = context or CheckContext(TreeHost(root), options={"fence": {"height": 3}})
    findings = run_checks({"fence": file}, tier, given)
    assert {(finding.component, finding.tier) for finding in findings} <= {("fence", tier)}
    return [(finding.check, finding.outcome, finding.evidence) for finding in findings]


def test_passing_check_gives_its_promise_as_evidence(tmp_path: Path) -> None:
    text = '''
@pytest.mark.static
def test_height(options):
    """The fence is high.

    More words.
    """
    assert options["height"] == 3
'''
    assert find(tmp_path, text) == [("test_height", "pass", "The fence is high.")]
    assert not list(tmp_path.rglob("__pycache__"))


def test_failing_check_gives_the_assertion_as_evidence(tmp_path: Path) -> None:
    text = """
@pytest.mark.static
def test_height(options):
    assert options["height"] == 4, "too low"
@pytest.mark.static
def test_error(host):
    host.file("/none").content
"""
    findings = find(tmp_path, text)
    assert findings[0] == ("test_height", "fail", "too low\nassert 3 == 4")
    assert findings[1][:2] == ("test_error", "fail")
    assert findings[1][2].startswith("FileNotFoundError: ")


def test_check_that_cannot_see_its_object_is_skipped(tmp_path: Path) -> None:
    text = """
@pytest.mark.static
def test_running(host):
    assert host.service("on").is_running
@pytest.mark.static
def test_swallowed(host):
    try:
        assert host.socket("tcp://9050").is_listening
    except Exception:
        pass
@pytest.mark.static
def test_wire(wire):
    assert not wire.frames_during(lambda: None)
"""
    assert find(tmp_path, text) == [
        ("test_running", "skip", "a tree has no running units"),
        ("test_swallowed", "skip", "`socket` needs a running system"),
        ("test_wire", "skip", "the target has no recording of its network"),
    ]


def test_only_the_checks_of_the_tier_run(tmp_path: Path) -> None:
    text = """
@pytest.mark.static
def test_tree(): pass
@pytest.mark.running
def test_live(): pass
@pytest.mark.static
@pytest.mark.running
def test_both(): pass
"""
    assert [check for check, _, _ in find(tmp_path, text)] == ["test_tree", "test_both"]
    assert [check for check, _, _ in find(tmp_path, text, "running")] == ["test_live", "test_both"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "def test_x(): pass",
            "check_fence.py: `test_x` has no tier mark (static, running, traffic, offline)",
        ),
        ("x = 1", "check_fence.py: no check in the check file of `fence`"),
        (
            "@pytest.mark.static\n@pytest.mark.destructive\ndef test_x(): pass",
            "check_fence.py: `test_x` is destructive, so it can only be `running`",
        ),
    ],
)
def test_check_file_that_proves_nothing_is_an_error(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(BrokenChecks) as raised:
        find(tmp_path, text)
    assert raised.value.faults == (fault,)


def test_check_file_that_does_not_load_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BrokenChecks, match="SyntaxError"):
        find(tmp_path, "def (")
    with pytest.raises(BrokenChecks, match="runing"):
        find(tmp_path, "@pytest.mark.runing\ndef test_x(): pass")


def test_missing_check_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BrokenChecks):
        run_checks({"fence": tmp_path / "check_none.py"}, "static", CheckContext(None))


def test_destructive_checks_run_last_and_are_undone(tmp_path: Path) -> None:
    text = """
@pytest.mark.running
@pytest.mark.destructive
def test_spoil(): assert False, "spoilt"
@pytest.mark.running
@pytest.mark.destructive
def test_spoil_more(): pass
@pytest.mark.running
def test_look(): pass
"""
    snapshots = RecordedSnapshots()
    findings = find(tmp_path, text, "running", CheckContext(None, snapshots=snapshots))
    assert [(check, outcome) for check, outcome, _ in findings] == [
        ("test_look", "pass"),
        ("test_spoil", "fail"),
        ("test_spoil_more", "pass"),
    ]
    assert snapshots.calls == [
        "save before-destructive",
        "restore before-destructive",
        "restore before-destructive",
    ]


def test_destructive_check_is_skipped_when_nothing_can_be_undone(tmp_path: Path) -> None:
    text = """
@pytest.mark.running
@pytest.mark.destructive
def test_spoil(): raise SystemExit
"""
    [(_, outcome, evidence)] = find(tmp_path, text, "running", CheckContext(None))
    assert (outcome, evidence) == (
        "skip",
        "the check spoils its target, which has no snapshot to go back to",
    )


def test_fault_of_the_test_bench_ends_the_run(tmp_path: Path) -> None:
    text = """
@pytest.mark.static
def test_gone(): raise ConnectionError("the guest is gone")
@pytest.mark.static
def test_next(): pass
"""
    with pytest.raises(ConnectionError, match="the guest is gone"):
        find(tmp_path, text, context=CheckContext(None, abort_on=(ConnectionError,)))


def test_settings_of_the_caller_do_not_reach_the_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--deselect check_fence.py -k none")
    (tmp_path / "conftest.py").write_text("raise RuntimeError")
    (tmp_path / "pytest.ini").write_text("[pytest]\npython_functions = none\n")
    text = "@pytest.mark.static\ndef test_x(): pass\n"
    assert find(tmp_path, text) == [("test_x", "pass", "test_x")]


def test_component_named_as_a_module_leaves_that_alone(tmp_path: Path) -> None:
    files = {}
    for name in ("fence", "time"):
        files[name] = tmp_path / "components" / name / f"check_{name}.py"
        files[name].parent.mkdir(parents=True)
        files[name].write_text(
            "import pytest\n@pytest.mark.static\ndef test_clock():\n"
            "    import time\n    assert time.monotonic()\n"
        )
    findings = run_checks(files, "static", CheckContext(TreeHost(tmp_path)))
    assert [(finding.component, finding.outcome) for finding in findings] == [
        ("fence", "pass"),
        ("time", "pass"),
    ]

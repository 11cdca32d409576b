# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks on a real trixie root, through the real ansible-runner."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import lab_root
import pytest
from lab_root import make_lab_root

from gnoppix_build.effects.ansible import ApplyResult, TaskFault, apply
from gnoppix_build.effects.layers import overlay
from gnoppix_build.effects.namespaces import unmount
from gnoppix_build.render.inventory import write_component_tasks

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
PACKAGES = (*lab_root.PACKAGES, "python3", "python3-apt")
EPOCH = 1_700_000_000
SERVICE = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
TASK_HEAD = "---\n- name: {name}\n  ansible.builtin.command: {command}\n  changed_when: false\n"
WANTS = "etc/systemd/system/multi-user.target.wants"


@dataclass
class Component:
    """What a rendered tree says of one component; `files` maps a target path to its text."""

    name: str
    files: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    units: Mapping[str, list[str]] = field(default_factory=dict)
    tasks: str = ""
    mode: str = "0644"
    owner: str = "root"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Give a root as layers make it: what is written lies over a tree for reading only."""
    merged = tmp_path / "root"
    overlay([make_lab_root(PACKAGES)], tmp_path / "upper", tmp_path / "work", merged)
    try:
        # As in a layer: no device node and nothing in /run.
        for path in (*(merged / "dev").iterdir(), *(merged / "run").iterdir()):
            path.unlink() if path.is_symlink() or not path.is_dir() else shutil.rmtree(path)
        yield merged
    finally:
        unmount(merged)
        shutil.rmtree(tmp_path / "upper")


def write_tree(tree: Path, *components: Component) -> Path:
    """Write what rendering yields: JSON is YAML.

    The tag stands on the list: on a scalar it would make a number of the text "0640".
    """
    project = tree / "project"
    shutil.copytree(PLAYBOOKS, project, ignore=shutil.ignore_patterns("__pycache__"))
    listed = []
    for component in components:
        entries = [
            {"path": path, "mode": component.mode, "owner": component.owner, "group": "root"}
            | {"source": path.removeprefix("/")}
            for path in component.files
        ]
        for path, text in component.files.items():
            source = project / "files" / component.name / path.removeprefix("/")
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(text)
        if component.tasks:
            (project / "tasks").mkdir(exist_ok=True)
            (project / "tasks" / f"{component.name}.yml").write_text(component.tasks)
        listed.append(
            {
                "name": component.name,
                "packages": component.packages,
                "files": entries,
                "payloads": [],
                "units": component.units,
                "tasks": bool(component.tasks),
            }
        )
    variables = project / "group_vars" / "all.yml"
    variables.parent.mkdir()
    variables.write_text(f"gnoppix_components: !unsafe {json.dumps(listed)}\n")
    tasks = write_component_tasks([f"component-{number}" for number in range(len(components))])
    (project / "components.yml").write_bytes(tasks)
    (tree / "inventory").mkdir()
    (tree / "inventory" / "hosts.yml").write_text(
        "all:\n  hosts:\n    image:\n      ansible_connection: gnoppix_image\n"
    )
    return tree


def apply_tree(tree: Path, root: Path, timeout_s: float = 300) -> ApplyResult:
    beside = tree.parent
    return apply(
        tree,
        root,
        log=beside / "apply.log",
        artifacts=beside / "artifacts",
        epoch=EPOCH,
        on_task=lambda _name: None,
        timeout_s=timeout_s,
    )


def snapshot(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Say of every path its mode, owner and bytes."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            status = path.lstat()
            content = b""
            if stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                content = bytes(path.readlink())
            found[f"/{path.relative_to(root)}"] = (status.st_mode, status.st_uid, content)
    return found


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def find_output(artifacts: Path, task: str) -> list[str]:
    """Give the lines that a task printed."""
    events = [json.loads(path.read_text()) for path in artifacts.rglob("job_events/*.json")]
    [result] = [
        event["event_data"]["res"]
        for event in events
        if event["event"] == "runner_on_ok" and event["event_data"]["task"] == task
    ]
    lines: list[str] = result["stdout_lines"]
    return lines


def test_apply_changes_what_the_tree_names_and_nothing_else(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI_JOB_TOKEN", "canary-9f31")
    say = TASK_HEAD.format(name="Look around", command="sh -c 'uname -n; env'")
    tree = write_tree(
        tmp_path / "tree",
        Component(
            "first",
            files={"/etc/first/a.conf": "a\n", "/usr/lib/systemd/system/first.service": SERVICE},
            packages=("python3-apt",),
            units={"enable": ["first.service"], "mask": ["absent.service"]},
        ),
        Component("second", files={"/etc/second": "ü\n"}, tasks=say, mode="0640"),
    )
    before = snapshot(root)
    assert apply_tree(tree, root).changed == 3
    after = snapshot(root)
    assert changes(before, after) == {
        "/etc/first",
        "/etc/first/a.conf",
        "/etc/second",
        "/etc/systemd/system/absent.service",
        f"/{WANTS}/first.service",
        "/usr/lib/systemd/system/first.service",
    }
    assert after["/etc/first"] == (stat.S_IFDIR | 0o755, 0, b"")
    assert after["/etc/second"] == (stat.S_IFREG | 0o640, 0, "ü\n".encode())

    assert apply_tree(tree, root).changed == 0
    assert snapshot(root) == after

    looked = find_output(tmp_path / "artifacts", "Look around")
    assert looked[0] == "localhost"
    assert {line.split("=")[0] for line in looked[1:]} - {"PWD", "SHLVL", "_", "OLDPWD"} == {
        *("DEBIAN_FRONTEND", "HOME", "LC_ALL", "PATH", "PYTHONDONTWRITEBYTECODE"),
        *("SOURCE_DATE_EPOCH", "SYSTEMD_OFFLINE", "TZ"),
    }
    kept = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert any(path.name == "command" for path in kept)
    assert not [path for path in kept if b"canary-9f31" in path.read_bytes()]


def test_apply_takes_no_value_for_a_template(root: Path, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    hostile = f"{{{{ lookup('ansible.builtin.pipe', 'touch {trap}') }}}}"
    hostile_path = f"/etc/{hostile.replace('/', '_')}"
    tree = write_tree(
        tmp_path / "tree",
        Component(
            hostile.replace("/", "_"),
            files={hostile_path: hostile},
            units={"mask": ["{{6-4}}.service"]},
        ),
    )
    apply_tree(tree, root)
    assert (root / hostile_path.removeprefix("/")).read_text() == hostile
    assert not trap.exists()
    assert not (root / str(trap).removeprefix("/")).exists()
    assert not list(root.glob("etc/systemd/system/2*"))


def test_apply_replaces_a_link_and_leaves_its_target_alone(root: Path, tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", Component("first", files={"/etc/motd": "ours\n"}))
    (root / "etc/motd").unlink(missing_ok=True)
    (root / "etc/motd").symlink_to("/etc/victim")
    (root / "etc/victim").write_text("theirs\n")
    apply_tree(tree, root)
    assert not (root / "etc/motd").is_symlink()
    assert (root / "etc/motd").read_text() == "ours\n"
    assert (root / "etc/victim").read_text() == "theirs\n"


def test_apply_refuses_a_package_that_the_lock_did_not_bring(root: Path, tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", Component("first", packages=("python3-apt", "nonesuch")))
    before = snapshot(root)
    with pytest.raises(TaskFault) as caught:
        apply_tree(tree, root)
    assert caught.value.task == "Install the packages of all components"
    line = (
        (PLAYBOOKS / "site.yml").read_text().splitlines().index(f"    - name: {caught.value.task}")
    )
    assert caught.value.task_path == f"site.yml:{line + 1}"
    assert "nonesuch" in caught.value.message
    assert snapshot(root) == before


def test_apply_names_the_file_whose_owner_is_unknown(root: Path, tmp_path: Path) -> None:
    tree = write_tree(
        tmp_path / "tree", Component("first", files={"/etc/first": "a\n"}, owner="nobody-here")
    )
    with pytest.raises(TaskFault) as caught:
        apply_tree(tree, root)
    assert str(caught.value) == (
        "`Write the files of first` (roles/apply_component/tasks/main.yml:3): "
        "/etc/first: no user nobody-here or no group root"
    )


def test_apply_tells_what_ansible_said_when_no_task_could_start(root: Path, tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", Component("first"))
    (tree / "project" / "image.yml").unlink()
    with pytest.raises(TaskFault, match=r"the playbook: image\.yml could not be found"):
        apply_tree(tree, root)


def test_apply_leaves_no_process_when_time_is_over(root: Path, tmp_path: Path) -> None:
    nap = TASK_HEAD.format(name="Sleep too long", command="sleep 86399")
    tree = write_tree(tmp_path / "tree", Component("first", tasks=nap))
    with pytest.raises(TaskFault) as caught:
        apply_tree(tree, root, timeout_s=12)
    assert str(caught.value) == "`Sleep too long`: it did not end within 12 s, or was killed"
    running = subprocess.run(("pgrep", "-f", "sleep 86399"), check=False, capture_output=True)
    assert running.stdout == b""


def test_check_and_diff_tell_the_truth_and_change_nothing(root: Path, tmp_path: Path) -> None:
    unit = "/usr/lib/systemd/system/first.service"
    tree = write_tree(
        tmp_path / "tree",
        Component(
            "first",
            files={"/etc/fstab": "# ours\n", unit: SERVICE},
            units={"enable": ["first.service"]},
        ),
        Component("second", files={"/etc/second": "canary-after\n"}, mode="0640"),
    )
    (root / "etc/fstab").write_text("# theirs\n")
    (root / "etc/fstab").chmod(0o600)
    (root / "etc/second").write_text("canary-before\n")
    (root / "etc/second").chmod(0o600)
    variables = tree / "inventory" / "host_vars" / "image.yml"
    variables.parent.mkdir()
    variables.write_text(f"gnoppix_root: {root}\n")
    before = snapshot(root)
    command = (Path(sys.executable).parent / "ansible-playbook", "--check", "--diff")
    said = subprocess.run(
        (*command, "-i", tree / "inventory" / "hosts.yml", tree / "project" / "image.yml"),
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "ANSIBLE_PIPELINING": "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert snapshot(root) == before
    assert "-(9 bytes that others may not read)\n+# ours\n" in said
    assert '-    "mode": "0600",\n' in said
    assert '+    "mode": "0644",\n' in said
    assert (
        "-(14 bytes that others may not read)\n+(13 new bytes that others may not read)\n" in said
    )
    assert "canary" not in said
    assert f"+++ after: {unit}\n" in said
    assert "+ExecStart=/bin/true\n" in said

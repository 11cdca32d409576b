# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of docs/ci as their runners read them: pins, rights, what a log makes them do."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from runner_log import obeyed

FOLDER = Path(__file__).parents[2] / "docs" / "ci"
GITHUB = yaml.safe_load((FOLDER / "github.yml").read_text())
PINNED = re.compile(r"      - (?:if: always\(\)\n        )?uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
UNTRUSTED = ("Lock the packages and list the builds", "Build the image", "Verify the image")
# As far as to where its output goes, and what happens when it fails.
COMMAND = re.compile(
    r"(?:build-image|/pip) (?:build|install|matrix|validate|verify)\b[^\n|>)]*[^\s|>)]"
)
HOSTILE = """\
::add-mask::a
::set-output name=matrix::[]
a package's script says ##[add-mask]b
::stop-commands::mine
::guessed::
::error file=x::forged
"""


def steps() -> Iterator[dict[str, Any]]:
    for job in GITHUB["jobs"].values():
        yield from job["steps"]


def test_actions_are_pinned_by_commit_with_the_version_beside() -> None:
    text = (FOLDER / "github.yml").read_text()
    used = [step["uses"] for step in steps() if "uses" in step]
    assert len(used) == len(PINNED.findall(text)) > 0


def test_workflow_may_only_read_and_leaves_no_credentials_behind() -> None:
    assert GITHUB["permissions"] == {"contents": "read"}
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert [step["with"] for step in checkouts] == [{"persist-credentials": False}] * 2


def test_no_script_contains_an_expression() -> None:
    """What an expression stands for would be read as part of the script."""
    assert [step["name"] for step in steps() if "${{" in step.get("run", "")] == []


def test_both_systems_build_with_the_same_commands() -> None:
    """What one has shown to work holds for the other, to the last argument."""
    jobs = (("gitlab.yml", "plan"), ("gitlab-build.yml", ".build-image"))
    scripts = (yaml.safe_load((FOLDER / name).read_text())[job]["script"] for name, job in jobs)
    of_gitlab = COMMAND.findall("\n".join(line for script in scripts for line in script))
    of_github = COMMAND.findall("\n".join(step.get("run", "") for step in steps()))
    assert [each.replace("gitlab", "github") for each in of_gitlab] == of_github
    verbs = [each.split()[1] for each in of_github]
    assert verbs == ["install", "validate", "matrix", "install", "build", "verify"]


def test_both_systems_keep_the_store_by_digest_and_fall_back_on_the_profile() -> None:
    """GitLab finds a fallback only by a whole key, so that something has to be kept by it."""
    (options,) = (each["with"] for each in steps() if "actions/cache@" in each.get("uses", ""))
    digest, profile = "${{ matrix.digest }}", "${{ matrix.name }}"
    assert options == {
        "path": ".cache/store",
        "key": f"store-{profile}-{digest}",
        "restore-keys": f"store-{profile}-",
    }
    job = yaml.safe_load((FOLDER / "gitlab-build.yml").read_text())[".build-image"]
    paths = [f"{options['path']}/"]
    assert job["cache"] == [
        {"key": "store-$NAME-$DIGEST", "fallback_keys": ["store-$NAME"], "paths": paths},
        {"key": "store-$NAME", "paths": paths, "policy": "push"},
    ]


@pytest.mark.parametrize("name", UNTRUSTED)
@pytest.mark.parametrize("status", [0, 5])
def test_runner_obeys_nothing_that_a_build_says(name: str, status: int, tmp_path: Path) -> None:
    """Whether the command succeeds or fails; afterwards the runner listens again."""
    (step,) = (step for step in steps() if step.get("name") == name)
    program = tmp_path / "build-image"
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{HOSTILE}END\nexit {status}\n")
    program.chmod(0o755)
    output = tmp_path / "output"
    done = subprocess.run(
        ("sh", "-e", "-c", step["run"]),
        env={
            "PATH": f"{tmp_path}{os.pathsep}{os.defpath}",
            "PROFILE": "desk",
            "PROFILES": "desk",
            "GITHUB_OUTPUT": str(output),
        },
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == status
    assert HOSTILE in done.stdout
    log = f"{done.stdout}::notice::the next step\n"
    assert obeyed(log) == ["stop-commands", "notice"]
    assert obeyed(HOSTILE) != []


def test_container_opens_kvm_as_the_rule_for_hosts_does() -> None:
    *_, rule = (FOLDER / "99-kvm.rules").read_text().splitlines()
    fields = dict(re.findall(r'([A-Z]+)[=+]=?"([^"]*)"', rule))
    (step,) = (step for step in steps() if step.get("name") == "Open KVM")
    assert f"chmod {fields['MODE']} /dev/{fields['KERNEL']}\n" in step["run"]
    assert fields["OPTIONS"] == f"static_node={fields['KERNEL']}"

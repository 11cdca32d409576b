# SPDX-License-Identifier: GPL-3.0-or-later
"""The workflows of docs/ci, run: what is shown there works."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from bench import TIMES, wants_all_profiles
from lab_root import make_lab_root
from runner import (
    Container,
    GitHub,
    build_wheel,
    copy_checkout,
    fetch_wheels,
    read_workflow,
)

from gnoppix_build.effects.results import check_sums

# What an image of Debian in a registry has besides the essential packages and apt.
PACKAGES = ("mount", "passwd")
PROFILES = "profiles/minimal.yaml"
# A store as a build has it, and a build that leaves one.
LAYER = ".cache/store/layer"
MAKES_A_LAYER = f"mkdir -p .cache/store && echo layer >> {LAYER} && cat {LAYER}"
QUICK_STEPS = {"Build the image": MAKES_A_LAYER, "Verify the image": "mkdir -p out/minimal"}

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    fetch_wheels(folder)
    return folder


@pytest.fixture(scope="module")
def container(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Container:
    """Give a container that is clean when the first job begins; what it installs stays."""
    return start_container(wheels, tmp_path_factory.mktemp("container"))


def start_container(wheels: Path, work: Path) -> Container:
    container = Container(make_lab_root(PACKAGES), work, wheels)
    container.start()
    return container


def tell_times(workflow: str, *containers: Container) -> None:
    for ran in (ran for container in containers for ran in container.ran):
        TIMES.append(f"{workflow}: {ran.name:<40} {ran.seconds:6.1f} s")


def test_github_workflow_runs_in_a_clean_root(
    container: Container, wheels: Path, tmp_path: Path
) -> None:
    """An image is built in `./run test-all` only, by a job in a container of its own."""
    workflow = read_workflow("github.yml")
    workflow["env"]["PROFILES"] = PROFILES
    kept = tmp_path / "kept"
    github = GitHub(workflow, kept)
    github.run_job("plan", container)
    assert [path.name for path in kept.rglob("*.lock")] == ["minimal.lock"]
    (variant,) = github.matrix_of("build")
    assert (variant["profile"], variant["name"]) == (PROFILES, "minimal")
    if wants_all_profiles():
        another = start_container(wheels, tmp_path / "another")
        github.run_job("build", another, matrix=variant)
        check_sums(kept / "minimal-iso")
        assert json.loads((kept / "minimal-iso" / "verify.json").read_text())["verdict"] == "pass"
        tell_times("github.yml", container, another)
    else:
        github.run_job("build", container, matrix=variant, instead=QUICK_STEPS)
        assert (container.checkout / "out" / "minimal" / "minimal.lock").exists()
        check_that_the_store_is_found_again(github, container, variant)
    check_that_a_committed_lock_is_taken(workflow, container, kept, variant)


def check_that_the_store_is_found_again(
    github: GitHub, container: Container, variant: dict[str, str]
) -> None:
    """A second run locks the same, so that it has the same digest; another finds the profile's."""
    assert github.restored is None, "nothing was kept before"
    installed = {"Install build-image": "true"}
    github.run_job("plan", container, instead=installed)
    (second,) = github.matrix_of("build")
    assert second == variant
    github.run_job("build", container, matrix=second, instead={**installed, **QUICK_STEPS})
    key = f"store-minimal-{variant['digest']}"
    assert github.restored == key
    assert (container.checkout / LAYER).read_text() == "layer\n" * 2
    changed = {**variant, "digest": "0" * 64}
    github.run_job("build", container, matrix=changed, instead={**installed, **QUICK_STEPS})
    assert github.restored == key
    assert (container.checkout / LAYER).read_text() == "layer\n" * 2, "what an equal key has stays"


def test_rule_for_kvm_is_one_that_udev_reads(container: Container) -> None:
    copy_checkout(container.checkout)
    install = "apt-get update && apt-get install --yes --no-install-recommends udev"
    ran = container.run("Install udev", install, {})
    assert ran.status == 0, ran.said
    ran = container.run("Verify", "udevadm verify --no-summary docs/ci/99-kvm.rules", {})
    assert (ran.status, ran.said) == (0, "")
    other = "sed s/MODE=/MOOD=/ docs/ci/99-kvm.rules > 99-other.rules; "
    ran = container.run("Verify", f"{other} udevadm verify --no-summary 99-other.rules", {})
    assert ran.status != 0
    assert "MOOD" in ran.said


def plan_in_place_of(build: str) -> str:
    """Have a command that builds tell what it would make."""
    assert "build-image build " in build
    return build.replace("build-image build ", "build-image plan ")


def check_that_a_committed_lock_is_taken(
    workflow: dict[str, Any], container: Container, kept: Path, variant: dict[str, str]
) -> None:
    """The jobs that build get it by the same way as one that was made."""
    lock = kept.joinpath("locks/minimal/minimal.lock").read_text()
    others = kept.with_name("kept-with-a-lock")
    github = GitHub(workflow, others, {"profiles/minimal.lock": lock})
    installed = {"Install build-image": "true"}
    github.run_job("plan", container, instead=installed)
    assert github.matrix_of("build") == [variant]
    assert others.joinpath("locks/minimal/minimal.lock").read_text() == lock
    (build,) = (
        step["run"]
        for step in workflow["jobs"]["build"]["steps"]
        if step.get("name") == "Build the image"
    )
    planned = {**QUICK_STEPS, "Build the image": f"{MAKES_A_LAYER}\n{plan_in_place_of(build)}"}
    github.run_job("build", container, matrix=variant, instead={**installed, **planned})
    assert variant["digest"][:12] in container.ran[-2].said


def test_workflow_installs_a_wheel_from_an_address(
    container: Container, wheels: Path, tmp_path: Path
) -> None:
    """As in a repository with profiles of somebody's own."""
    workflow = read_workflow("github.yml")
    address = f"file:///wheels/{build_wheel(tmp_path / 'checkout', wheels)}"
    workflow["env"]["PROFILES"] = PROFILES
    workflow["env"]["GNOPPIX_BUILD"] = f"gnoppix-build[build,verify] @ {address}"
    container.run("Forget", "rm -rf /opt/build-image", {})
    without_the_tool = dict.fromkeys(("gnoppix_build", "playbooks", "pyproject.toml"))
    github = GitHub(workflow, tmp_path / "kept", without_the_tool)
    github.run_job("plan", container)
    assert [each["name"] for each in github.matrix_of("build")] == ["minimal"]
    installed = container.run("Freeze", "/opt/build-image/bin/pip freeze", {}).said
    assert address in installed
    for dependency in ("ansible-runner==", "pytest-testinfra=="):
        assert dependency in installed


def test_gitlab_pipeline_runs_in_a_clean_root(container: Container) -> None:
    """The job of the child pipeline is cut off where it builds, which GitHub's shows."""
    parent = read_workflow("gitlab.yml")
    copy_checkout(container.checkout)
    variables = {**parent["variables"], "PROFILES": PROFILES}
    ran = container.run_gitlab_job(parent["plan"], variables)
    assert ran.status == 0, ran.said
    for report in ("gl-code-quality-report.json", "mistakes/minimal.yaml.json"):
        assert json.loads((container.checkout / report).read_text()) == []
    child = yaml.safe_load((container.checkout / "builds.yml").read_text())
    assert child.pop("include") == variables["BUILD_TEMPLATE"] == "/docs/ci/gitlab-build.yml"
    ((name, job),) = child.items()
    assert (name, job["variables"]["FOLDER"]) == ("minimal iso", "out/minimal")
    assert len(job["variables"]["DIGEST"]) == len("f" * 64)
    template = read_workflow("gitlab-build.yml")
    made = template[job["extends"]]
    *before, build, _ = made["script"]
    made["script"] = [*before, plan_in_place_of(build)]
    ran = container.run_gitlab_job(made, {**template["variables"], **job["variables"]})
    assert ran.status == 0, ran.said
    assert job["variables"]["DIGEST"][:12] in ran.said

# SPDX-License-Identifier: GPL-3.0-or-later
"""Private roots and models on a machine that runs already: brought, used, told, and taken away.

A container has no loop devices: there the units get the very squashfs that was brought unpacked as
a folder. How it is mounted is left to the image's checks.
"""

import hashlib
import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kept_payloads import keep_payloads, render_with_payloads
from machine_lab import HOST, MACHINE, MachineLab, Said, running_lab

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

PROFILE = """\
version: 1
name: answers
components:
  ask: {}
  llama-cpp: {}
  tiny-echo: {}
"""
NOTHING = "version: 1\nname: answers\ncomponents:\n  telemetry-off: {}\n"
ROOT = "/usr/lib/gnoppix/private-roots/llama-cpp.squashfs"
MODEL = "/usr/share/gnoppix/models/tiny-echo.gguf"
UNIT = "llama-cpp@tiny-echo.service"
FOLDER = "/var/lib/gnoppix-lab-root"
DROP_IN = "/etc/systemd/system/llama-cpp@.service.d/99-lab.conf"
AS_A_FOLDER = f"[Service]\nRootImage=\nRootDirectory={FOLDER}\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineLab]:
    work = tmp_path_factory.mktemp("machine")
    keep_payloads(work)
    with running_lab(work, ()) as lab:
        # Before anything starts: without loop devices, systemd waits long for one.
        lab.machine.run("mkdir", "-p", str(Path(DROP_IN).parent))
        lab.machine.run("tee", DROP_IN, stdin=AS_A_FOLDER.encode())
        yield lab


@pytest.fixture(scope="module")
def profile(lab: MachineLab) -> Path:
    path = lab.work / "answers.yaml"
    path.write_text(PROFILE)
    return path


@pytest.fixture(scope="module")
def tree(lab: MachineLab, profile: Path) -> Path:
    return render_with_payloads(lab, profile)


def exists(lab: MachineLab, path: str) -> bool:
    return lab.machine.try_run("test", "-e", path).returncode == 0


def expect_success(said: Said) -> str:
    assert said.status == 0, said.output + said.talk
    return said.output


def drift(lab: MachineLab, profile: Path) -> dict[str, tuple[str, str]]:
    said = lab.run("verify", profile, "--host", HOST, *lab.ssh_options, "--format", "json")
    assert said.output, said.talk
    findings = json.loads(said.output)["findings"]
    told = [each for each in findings if each["check"].startswith("no_drift")]
    assert {each["component"] for each in told} == {"ask", "llama-cpp", "tiny-echo"}
    return {
        each["check"]: (each["component"], each["evidence"])
        for each in told
        if each["outcome"] == "fail"
    }


def test_tree_has_all_that_a_machine_gets(tree: Path) -> None:
    folder = tree / "project/payload"
    subprocess.run(("sha256sum", "--check", "--strict", "SHA256SUMS"), cwd=folder, check=True)
    files = {f"/{path.relative_to(folder)}" for path in folder.rglob("*") if path.is_file()}
    assert files == {ROOT, MODEL, "/SHA256SUMS"}
    assert not any(path.is_symlink() for path in tree.rglob("*"))


def test_check_tells_payloads_by_digest_and_brings_none(
    lab: MachineLab, profile: Path, tree: Path
) -> None:
    digest = hashlib.sha256((tree / f"project/payload{ROOT}").read_bytes()).hexdigest()
    output = expect_success(lab.provision(profile, "--check", "--diff"))
    assert f"+++ after: {ROOT} (" in output
    assert digest in output
    assert "hsqs" not in output, "the first bytes of a squashfs"
    assert not exists(lab, "/usr/lib/gnoppix")
    assert not exists(lab, "/usr/share/gnoppix")


@pytest.mark.usefixtures("tree")
def test_machine_gets_them_and_answers(lab: MachineLab, profile: Path) -> None:
    expect_success(lab.provision(profile))
    for path in (ROOT, MODEL):
        assert lab.machine.run("stat", "-c", "%a %U:%G", path) == "444 root:root\n"
    assert lab.machine.run("find", "/var/tmp", "-name", "ansible-*") == ""
    unpack_what_was_brought(lab)
    word = secrets.token_hex(4)
    answer = lab.machine.run("ask", "--wait", "50", f"echo {word}", stdin=b"")
    assert answer.strip() == word


def unpack_what_was_brought(lab: MachineLab) -> None:
    """Unpack the squashfs that the machine has got, where its units look for it here."""
    brought = lab.work / "brought.squashfs"
    brought.write_bytes((lab.root / ROOT[1:]).read_bytes())
    script = 'mount -o ro,loop "$1" /mnt && tar -C /mnt -c .'
    command = ("unshare", "--mount", "sh", "-c", script, "sh", brought)
    packed = subprocess.run(command, check=True, capture_output=True).stdout
    lab.machine.run("mkdir", FOLDER)
    lab.machine.run("tar", "-C", FOLDER, "-x", stdin=packed)
    lab.machine.run("systemctl", "reset-failed")
    lab.machine.run("systemctl", "restart", "llama-cpp.target")


def test_second_run_changes_nothing(lab: MachineLab, profile: Path) -> None:
    assert expect_success(lab.provision(profile)) == f"{MACHINE}: nothing to change\n"


def test_plain_ansible_brings_the_same(lab: MachineLab, tree: Path) -> None:
    said = lab.play(tree)
    assert "Compare the payloads of tiny-echo" in said
    assert "changed=0" in said


def test_drift_of_a_payload_is_told_and_healed(lab: MachineLab, profile: Path) -> None:
    first = lab.machine.run("systemctl", "show", "--property=MainPID", "--value", UNIT)
    lab.machine.run(
        *("dd", f"of={MODEL}", "bs=1", "seek=99999", "conv=notrunc", "status=none"), stdin=b"x"
    )
    lab.machine.run("rm", ROOT)
    assert drift(lab, profile) == {
        f"no_drift[{MODEL}]": ("tiny-echo", "other bytes"),
        f"no_drift[{ROOT}]": ("llama-cpp", "it is not there"),
    }
    expect_success(lab.provision(profile))
    assert expect_success(lab.provision(profile)) == f"{MACHINE}: nothing to change\n"
    # Whoever had the altered bytes in memory has started anew.
    second = lab.machine.run("systemctl", "show", "--property=MainPID", "--value", UNIT)
    assert {first, second}.isdisjoint({"", "0\n"})
    assert first != second


def test_they_go_with_their_components(lab: MachineLab, profile: Path) -> None:
    profile.write_text(NOTHING)
    output = expect_success(lab.provision(profile, "--diff"))
    assert f"{ROOT} (llama-cpp is not in the profile)" in output
    assert f"{MODEL} (tiny-echo is not in the profile)" in output
    assert not exists(lab, "/usr/lib/gnoppix")
    assert not exists(lab, "/usr/share/gnoppix")
    assert not exists(lab, "/usr/bin/ask")
    state = lab.machine.try_run("systemctl", "is-active", UNIT).stdout
    assert state.strip() != "active"


def test_tree_without_payloads_says_what_it_lacks(lab: MachineLab, profile: Path) -> None:
    profile.write_text(PROFILE)
    bare = lab.work / "bare"
    said = lab.run("render", profile, "--target", "machine", "-o", bare)
    assert f"note: `--payload` brings what it lacks: {ROOT}, {MODEL}" in said.talk
    assert not (bare / "project/payload").exists()

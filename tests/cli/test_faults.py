# SPDX-License-Identifier: GPL-3.0-or-later
"""What the world does to a build: one message, and the exit code that says whose turn it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def run(*arguments: str, cache: Path, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        (sys.executable, "-m", "gnoppix_build", *arguments),
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={**os.environ, "GNOPPIX_BUILD_CACHE": str(cache), **environment},
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stderr


def write_profile(folder: Path, line: str) -> Path:
    text = (PROJECT / "profiles" / "minimal.yaml").read_text()
    profile = folder / "mine.yaml"
    profile.write_text(text.replace("name: minimal", f"name: mine\n{line}"))
    return profile


def test_lock_names_a_mirror_that_cannot_be_reached(tmp_path: Path) -> None:
    profile = write_profile(tmp_path, "mirror: http://127.0.0.1:9/debian")
    status, talk = run("lock", str(profile), cache=tmp_path / "cache")
    assert status == 6
    assert "error[mirror]: the package lists of http://127.0.0.1:9/debian" in talk
    assert "name another `mirror` in the profile" in talk


def test_build_refuses_a_lock_that_is_none(tmp_path: Path) -> None:
    profile = write_profile(tmp_path, "")
    (tmp_path / "mine.lock").write_text('{"format_version": 1, "suite": 7}')
    status, talk = run("plan", str(profile), cache=tmp_path / "cache")
    assert status == 3
    assert talk.startswith(f"error[lock]: `{tmp_path}/mine.lock`: ")
    assert "hint: make it afresh: build-image lock --update" in talk


@pytest.mark.root
def test_build_says_that_it_needs_root(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    done = subprocess.run(
        (
            *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
            *(sys.executable, "-m", "gnoppix_build", "build", "minimal"),
        ),
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={**os.environ, "GNOPPIX_BUILD_CACHE": str(tmp_path / "cache"), "HOME": "/"},
    )
    assert done.returncode == 4
    assert done.stderr == (
        "error[environment]: layers are mounted, and mounting needs root\n"
        "  = hint: run the same command with sudo\n"
    )


@pytest.mark.root
def test_build_says_which_bytes_are_wrong(tmp_path: Path) -> None:
    profile = write_profile(tmp_path, "")
    assert run("lock", str(profile), cache=tmp_path / "cache")[0] == 0
    path = tmp_path / "mine.lock"
    lock = json.loads(path.read_text())
    lock["tools"]["packages"][0]["sha256"] = "0" * 64
    path.write_text(json.dumps(lock))
    result = tmp_path / "out"
    status, talk = run("build", str(profile), "-o", str(result), cache=tmp_path / "cache")
    assert status == 7
    assert "is not the file of the lock, sha256 0000" in talk
    assert not result.exists()


@pytest.mark.root
def test_build_names_a_tool_that_is_missing(tmp_path: Path) -> None:
    """A file without the right to be run hides the tool, in a mount namespace of the test's own."""
    hide = 'mount --bind /dev/null "$(command -v mmdebstrap)" && exec "$@"'
    done = subprocess.run(
        (
            *("unshare", "--mount", "sh", "-c", hide, "sh"),
            *(sys.executable, "-m", "gnoppix_build", "build", "minimal", "-o", tmp_path / "out"),
        ),
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={**os.environ, "GNOPPIX_BUILD_CACHE": str(tmp_path / "cache")},
    )
    assert done.returncode == 4
    assert done.stderr == (
        "error[environment]: `mmdebstrap` is not installed on this host\n"
        "  = hint: apt-get install mmdebstrap\n"
    )

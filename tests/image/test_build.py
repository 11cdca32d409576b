# SPDX-License-Identifier: GPL-3.0-or-later
"""Building real images: the same bytes again, only what changed, and nothing left by a kill."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from bench import PROJECT, Bench, Built, tell_time

from gnoppix_build.effects.results import sha256_of

pytestmark = pytest.mark.root

STEPS_OF_A_CONFIGURATION = ["apply configuration", "pack configuration", "pack iso"]


def steps_by_state(result: Path) -> dict[str, list[str]]:
    report = json.loads((result / "minimal.build.json").read_text())
    found: dict[str, list[str]] = {"made": [], "kept": []}
    for step in report["steps"]:
        found[step["state"]].append(step["step"])
    return found


def test_warm_build_keeps_every_step_and_gives_the_same_bytes(cold_build: Built) -> None:
    digest = cold_build.digest
    done = cold_build.bench.run("build", "minimal", "-o", cold_build.result)
    assert done.status == 0, done.talk
    assert steps_by_state(cold_build.result)["made"] == []
    assert cold_build.digest == digest


def test_result_holds_what_a_release_needs(cold_build: Built) -> None:
    files = {path.name for path in cold_build.result.iterdir()}
    expected = {"SHA256SUMS", "logs", "minimal.build.json", "minimal.iso", "minimal.lock"}
    assert files >= expected | {"minimal.packages"}
    subprocess.run(
        ("sha256sum", "--check", "--quiet", "SHA256SUMS"), cwd=cold_build.result, check=True
    )


def test_configuration_change_reaches_a_booted_image_without_bootstrap_or_packages(
    cold_build: Built, tmp_path: Path
) -> None:
    profile = tmp_path / "minimal.yaml"
    text = (PROJECT / "profiles" / "minimal.yaml").read_text()
    changed = text.replace("tor: {mode: transparent}", "tor: {mode: transparent, socks-port: 9150}")
    assert changed != text
    profile.write_text(changed)
    result = tmp_path / "out"
    shutil.copyfile(cold_build.result / "minimal.lock", tmp_path / "minimal.lock")
    done = cold_build.bench.run("build", profile, "-o", result)
    assert done.status == 0, done.talk
    assert steps_by_state(result)["made"] == STEPS_OF_A_CONFIGURATION
    assert "/etc/tor/gnoppix.torrc" in done.talk
    start = time.monotonic()
    verified = cold_build.bench.run("verify", profile, "-o", result)
    tell_time("verification", start)
    assert verified.status == 0, verified.output + verified.talk


def test_killed_build_leaves_nothing_and_the_next_gives_the_same_bytes(
    cold_build: Built, tmp_path: Path
) -> None:
    """The second build has another cache, path, umask and time zone."""
    bench = Bench(tmp_path / "other place")
    bench.folder.mkdir()
    result = bench.folder / "out"
    result.mkdir()
    lock = result / "minimal.lock"
    shutil.copyfile(cold_build.result / "minimal.lock", lock)
    process = subprocess.Popen(
        bench.command("build", "minimal", "-o", result),
        cwd=PROJECT,
        env={**bench.environment, "TZ": "Asia/Tokyo", "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        umask=0o077,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("fetch base"):
            break
    time.sleep(4)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert wait_until_gone(str(bench.folder)) == []
    assert str(bench.folder) not in Path("/proc/self/mountinfo").read_text().replace("\\040", " ")
    assert [path.name for path in result.iterdir()] == ["minimal.lock"]
    done = bench.run("build", "minimal", "-o", result)
    assert done.status == 0, done.talk
    assert sha256_of(result / "minimal.iso") == cold_build.digest


def wait_until_gone(word: str, timeout_s: float = 5.0) -> list[str]:
    """Give the command lines of processes that still name the word after a while."""
    deadline = time.monotonic() + timeout_s
    while (found := processes_naming(word)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def processes_naming(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if word in line:
            found.append(line)
    return found

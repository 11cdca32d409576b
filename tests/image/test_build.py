# SPDX-License-Identifier: GPL-3.0-or-later
"""Building real images: the same bytes again, only what changed, and nothing left by a kill."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from bench import EVERYTHING, PROJECT, Bench, Built

pytestmark = pytest.mark.root

STEPS_OF_A_CONFIGURATION = ["apply configuration", "pack configuration", "pack iso"]


def test_warm_build_keeps_every_step_and_gives_the_same_bytes(cold_build: Built) -> None:
    digest = cold_build.digest
    warm = cold_build.bench.build(EVERYTHING, cold_build.result)
    assert warm.steps("made") == []
    assert warm.digest == digest


def test_result_holds_what_a_release_needs(cold_build: Built) -> None:
    files = {path.name for path in cold_build.result.iterdir()}
    suffixes = ("build.json", "iso", "lock", "packages")
    assert files >= {"SHA256SUMS", "logs"} | {f"everything.{suffix}" for suffix in suffixes}
    subprocess.run(
        ("sha256sum", "--check", "--quiet", "SHA256SUMS"), cwd=cold_build.result, check=True
    )


def test_configuration_change_needs_neither_bootstrap_nor_packages(changed_build: Built) -> None:
    assert changed_build.steps("made") == STEPS_OF_A_CONFIGURATION
    assert "/etc/tor/gnoppix.torrc" in changed_build.talk


def test_killed_build_leaves_nothing_and_the_next_gives_the_same_bytes(
    cold_build: Built, tmp_path: Path
) -> None:
    """The second build has another cache, path, umask and time zone."""
    bench = Bench(tmp_path / "other place")
    bench.folder.mkdir()
    result = bench.folder / "out"
    result.mkdir()
    lock = result / f"{cold_build.name}.lock"
    shutil.copyfile(cold_build.result / lock.name, lock)
    process = subprocess.Popen(
        bench.command("build", EVERYTHING, "-o", result),
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
    assert [path.name for path in result.iterdir()] == [lock.name]
    assert bench.build(EVERYTHING, result, cold=True).digest == cold_build.digest


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

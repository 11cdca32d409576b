# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifying a real image, and not verifying one that was changed."""

import json
import shutil
import time
from pathlib import Path

import pytest
from bench import Built, tell_time

pytestmark = pytest.mark.root


def test_image_passes_every_check(cold_build: Built) -> None:
    start = time.monotonic()
    done = cold_build.bench.run("verify", "minimal", "-o", cold_build.result, "--format", "json")
    tell_time("verification", start)
    report = json.loads(done.output)
    bad = [each for each in report["findings"] if each["outcome"] != "pass"]
    assert (done.status, report["verdict"], bad) == (0, "pass", []), done.talk
    checked = {(each["component"], each["tier"]) for each in report["findings"]}
    components = {"debian-base", "firewall", "identity", "live-system", "network", "tor", "image"}
    assert checked == {(each, tier) for each in components for tier in ("static", "running")}


def test_changed_image_is_refused(cold_build: Built, tmp_path: Path) -> None:
    result = tmp_path / "out"
    shutil.copytree(cold_build.result, result)
    with (result / "minimal.iso").open("r+b") as iso:
        iso.seek(100_000_000)
        byte = iso.read(1)
        iso.seek(100_000_000)
        iso.write(bytes((byte[0] ^ 1,)))
    done = cold_build.bench.run("verify", "minimal", "-o", result, "--tier", "static")
    assert done.status == 7
    assert done.talk == (
        f"error[digest]: `{result}/minimal.iso` is not what was built: its hash is not the one in "
        "`SHA256SUMS`\n  = hint: build it again: build-image build PROFILE\n"
    )

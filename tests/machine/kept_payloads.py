# SPDX-License-Identifier: GPL-3.0-or-later
"""Private roots and models for the operator of a lab, who has no network to make them from."""

import shutil
import subprocess
import sys
from pathlib import Path

from bench import proxies_of_host
from machine_lab import MachineLab

from gnoppix_build.cli.session import cache_folder


def keep_payloads(work: Path) -> None:
    """Give a lab in `work` a cache whose payloads last from run to run; its locks are of today."""
    kept = cache_folder() / "lab" / "payloads"
    kept.mkdir(parents=True, exist_ok=True)
    for name in ("apt", "pool"):
        if not (kept / name).exists():
            (kept / name).symlink_to(cache_folder() / name)
    shutil.rmtree(kept / "locks", ignore_errors=True)
    (work / "cache").symlink_to(kept)


def render_with_payloads(lab: MachineLab, profile: Path) -> Path:
    """Give the tree of a profile, made where there is a network."""
    folder = lab.work / "tree"
    render = ("render", profile, "--target", "machine", "--payload", "-o", folder)
    subprocess.run(
        (sys.executable, "-m", "gnoppix_build", *render),
        env={**lab.environment, **proxies_of_host()},
        check=True,
    )
    return folder

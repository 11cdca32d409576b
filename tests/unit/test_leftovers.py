# SPDX-License-Identifier: GPL-3.0-or-later
"""What outlives a play is ended by the folder that was its home, and nothing else is."""

import os
import signal
import subprocess
from pathlib import Path

from gnoppix_build.effects.ansible import end_leftovers


def start_in(home: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(("sleep", "600"), env={**os.environ, "HOME": str(home)})


def test_processes_of_a_play_are_ended(tmp_path: Path) -> None:
    with start_in(tmp_path) as ours, start_in(tmp_path / "other") as other:
        end_leftovers(tmp_path)
        assert ours.wait(timeout=10) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()

# SPDX-License-Identifier: GPL-3.0-or-later
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gnoppix_build.effects.guest_channel import GREETING, GuestChannel, GuestFault
from gnoppix_build.effects.pcap import read_frames


@pytest.fixture
def channel() -> Iterator[GuestChannel]:
    """A channel to a shell of this host, which first talks as a firmware's console would."""
    ours, theirs = socket.socketpair()
    greet = f"printf '\\033[2Jfirmware'; echo; echo {GREETING}; exec /bin/sh"
    with (
        ours,
        theirs,
        subprocess.Popen(
            ["/bin/sh", "-c", greet], stdin=theirs.fileno(), stdout=theirs.fileno()
        ) as shell,
    ):
        channel = GuestChannel(ours)
        channel.wait_for_greeting(10)
        yield channel
        shell.kill()


@pytest.mark.root
def test_command_comes_back_whole(channel: GuestChannel) -> None:
    outcome = channel.run("printf 'a\\0\\377\\n'; echo \"it's\" >&2; exit 7", timeout_s=10)
    assert (outcome.status, outcome.stdout, outcome.stderr) == (7, b"a\0\xff\n", b"it's\n")
    assert len(channel.run("head -c 300000 /dev/zero", timeout_s=10).stdout) == 300000


@pytest.mark.root
def test_command_that_hangs_leaves_the_shell_usable(channel: GuestChannel) -> None:
    assert channel.run("sleep 60", timeout_s=1).status == 124
    assert channel.run("sleep 5 & echo started", timeout_s=3).stdout == b"started\n"


def test_silent_guest_is_a_fault() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(GuestFault, match="did not answer in time"):
        GuestChannel(ours).wait_for_greeting(0.1)


def test_recording_ends_before_a_frame_that_is_not_whole(tmp_path: Path) -> None:
    header = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65536, 1)
    record = struct.pack("=IIII", 0, 0, 3, 3)
    recording = tmp_path / "lan.pcap"
    recording.write_bytes(header + record + b"one" + record + b"tw")
    assert list(read_frames(recording)) == [b"one"]
    recording.write_bytes(header[:10])
    assert list(read_frames(recording)) == []

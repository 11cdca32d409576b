# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a classic pcap file that is still being written."""

import struct
from collections.abc import Iterator
from pathlib import Path

FILE_HEADER = struct.Struct("=IHHiIII")
RECORD_HEADER = struct.Struct("=IIII")
MAGIC_MICROSECONDS = 0xA1B2C3D4


def read_frames(recording: Path) -> Iterator[bytes]:
    """Give each whole frame; a record that is not written in full yet ends the reading.

    Source: draft-ietf-opsawg-pcap, sections 4 and 5 (this host's byte order).
    """
    with recording.open("rb") as stream:
        header = stream.read(FILE_HEADER.size)
        if len(header) < FILE_HEADER.size:
            return
        if FILE_HEADER.unpack(header)[0] != MAGIC_MICROSECONDS:
            raise ValueError(f"{recording.name} is not a pcap file of this host's byte order")
        while len(record := stream.read(RECORD_HEADER.size)) == RECORD_HEADER.size:
            _, _, captured_length, _ = RECORD_HEADER.unpack(record)
            frame = stream.read(captured_length)
            if len(frame) < captured_length:
                return
            yield frame

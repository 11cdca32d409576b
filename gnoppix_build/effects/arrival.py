# SPDX-License-Identifier: GPL-3.0-or-later
"""A large file on its way into the pool: hashed while it is written, named when it is verified."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from gnoppix_build.effects.faults import DigestFault

PIECE: Final = 1024**2


class Arrival:
    """What is to be `SHA256` in a folder; until then it is `SHA256.part`, which may grow in turns.

    `tell` is told the bytes that are there and those that there will be.
    """

    def __init__(
        self, folder: Path, name: str, size: int, sha256: str, tell: Callable[[int, int], None]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.place = folder / sha256
        self.name = name
        self.size = size
        self._sha256 = sha256
        self._tell = tell
        self._part = folder / f"{sha256}.part"

    def is_there(self) -> bool:
        """Tell whether the whole file is there, by its size: it had its hash when it got its name.

        Whoever uses it verifies it again.
        """
        return self.place.is_file() and self.place.stat().st_size == self.size

    @property
    def arrived(self) -> int:
        """Tell how many bytes are there."""
        return self._part.stat().st_size if self._part.exists() else 0

    def take(self, path: Path) -> None:
        """Take all from a file."""
        with path.open("rb") as content:
            self.append(content, 0)

    def append(self, content: BinaryIO, start: int) -> None:
        """Write from `start` on what the content has, and nothing beyond the size that is due.

        Raises DigestFault when there is more; what the content's `read` raises passes, and all that
        was read before stays.
        """
        with self._part.open("r+b" if start else "wb") as part:
            part.seek(start)
            part.truncate()
            while piece := content.read(PIECE):
                if part.tell() + len(piece) > self.size:
                    break
                part.write(piece)
                self._tell(part.tell(), self.size)
        if piece:
            self.forget()
            raise DigestFault(f"the file of `{self.name}` is longer than its {self.size} bytes")

    def finish(self) -> None:
        """Give the file its name; raises DigestFault, and keeps nothing, when its hash is wrong."""
        with self._part.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != self._sha256:
            arrived = self.arrived
            self.forget()
            raise DigestFault(
                f"the file of `{self.name}` has {arrived} bytes and the sha256 {found}, not "
                f"{self.size} bytes and {self._sha256}"
            )
        self._part.chmod(0o444)
        self._part.replace(self.place)

    def forget(self) -> None:
        """Remove what has arrived."""
        self._part.unlink(missing_ok=True)

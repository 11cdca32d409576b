# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: what a step made, kept under the digest of all that went into it."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from gnoppix_build.effects.faults import BusyFault

CONTENT = "content"
SHA256 = "sha256"


class Store:
    """Entries are folders `entries/DIGEST/` that appear by one rename, whole or not at all."""

    def __init__(self, root: Path) -> None:
        self._entries = root / "entries"
        self._staging = root / "staging"
        self._last_inputs = root / "last-inputs"
        for folder in (self._entries, self._staging, self._last_inputs):
            folder.mkdir(parents=True, exist_ok=True)

    def find(self, digest: str) -> Path | None:
        """Give the file kept under a digest; a damaged one is removed and counts as missing."""
        entry = self._entries / digest
        try:
            recorded = (entry / SHA256).read_text()
            if _sha256(entry / CONTENT) == recorded:
                return entry / CONTENT
        except FileNotFoundError:
            pass
        shutil.rmtree(entry, ignore_errors=True)
        return None

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Give a folder to work in, gone afterwards; `add` takes files from it."""
        with tempfile.TemporaryDirectory(dir=self._staging, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def clear_staging(self) -> None:
        """Remove what killed builds left; only for the one who holds the building lock."""
        for path in self._staging.iterdir():
            shutil.rmtree(path)

    def add(
        self, digest: str, file: Path, inputs: Mapping[str, str], step_id: str, profile: str
    ) -> Path:
        """Move a file (of the same file system) in, and remember the inputs: label -> digest."""
        with self.staging() as folder:
            entry = folder / digest
            entry.mkdir()
            (entry / SHA256).write_text(_sha256(file))
            file.replace(entry / CONTENT)
            shutil.rmtree(self._entries / digest, ignore_errors=True)
            entry.rename(self._entries / digest)
            remembered = folder / "inputs"
            remembered.write_text(json.dumps(dict(inputs), indent=1, sort_keys=True))
            remembered.replace(self._inputs_of(profile, step_id))
        return self._entries / digest / CONTENT

    def why_missing(self, profile: str, step_id: str, inputs: Mapping[str, str]) -> str:
        """Say which inputs differ from those of the last time."""
        try:
            last: dict[str, str] = json.loads(self._inputs_of(profile, step_id).read_bytes())
        except (FileNotFoundError, ValueError):
            return "first build"
        labels = sorted({*last, *inputs})
        changed = [f"`{label}`" for label in labels if last.get(label) != inputs.get(label)]
        if not changed:
            return "it is no longer in the store"
        return f"{', '.join(changed)} changed"

    def _inputs_of(self, profile: str, step_id: str) -> Path:
        name = hashlib.sha256(f"{profile}\n{step_id}".encode()).hexdigest()
        return self._last_inputs / name


@contextmanager
def lock_building(path: Path) -> Iterator[None]:
    """Hold the right to build; raises BusyFault, which names the process, when another does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise BusyFault(
                f"another build is running: process {holder} holds `{path}`",
                hint=f"wait for it, or end it: kill {holder}",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        try:
            yield
        finally:
            with suppress(OSError):
                lock.truncate(0)


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The initrd: made once, from the layers and exactly the configuration files that it reads."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from gnoppix_build.effects.faults import EnvironmentFault
from gnoppix_build.effects.layers import overlay
from gnoppix_build.effects.namespaces import unmount
from gnoppix_build.effects.process import isolated, run


class ImageFile(Protocol):
    """A file as the image will have it."""

    @property
    def path(self) -> str:
        """Where it lies, absolute in the image."""

    @property
    def content(self) -> bytes:
        """Its bytes."""

    @property
    def mode(self) -> int:
        """Its permission bits."""


def find_kernel(root: Path) -> Path:
    """Give the one kernel of a root, `boot/vmlinuz-VERSION`."""
    kernels = sorted(root.glob("boot/vmlinuz-*"))
    if len(kernels) != 1:
        raise EnvironmentFault(
            f"an image has one kernel, and this one has {len(kernels)}",
            hint="install one kernel package, such as linux-image-amd64",
        )
    return kernels[0]


def make_initrd(
    lowers: Sequence[Path], files: Sequence[ImageFile], result: Path, epoch: int, log: Path
) -> None:
    """Make the initrd of the mounted lowers (lowest first) with these files put over them.

    The layers stay as they are: what update-initramfs writes is thrown away.
    """
    with tempfile.TemporaryDirectory(dir=result.parent, prefix="initrd-") as scratch:
        root = Path(scratch, "root")
        overlay(lowers, Path(scratch, "upper"), Path(scratch, "work"), root)
        try:
            for file in files:
                _place(root, file)
            version = find_kernel(root).name.removeprefix("vmlinuz-")
            argv = ("update-initramfs", "-c", "-k", version)
            folders = ("/tmp", "/run", "/var/tmp")
            run(
                isolated(argv, root=root, tmpfs=folders),
                log=log,
                env={"SOURCE_DATE_EPOCH": str(epoch)},
            )
            made = Path(scratch, result.name)
            shutil.copyfile(root / f"boot/initrd.img-{version}", made)
            made.replace(result)
        finally:
            unmount(root)


def _place(root: Path, file: ImageFile) -> None:
    place = root / file.path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(file.content)
    place.chmod(file.mode)

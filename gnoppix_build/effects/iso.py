# SPDX-License-Identifier: GPL-3.0-or-later
"""Packing an ISO with the tools tree's GRUB, mtools and xorriso."""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from gnoppix_build.effects.process import isolated, run
from gnoppix_build.outputs.iso import layout

WORK = "/mnt/work"


def pack_iso(
    layers: Mapping[str, Path],
    initrd: Path,
    kernel: Path,
    result: Path,
    *,
    volume_id: str,
    kernel_arguments: Sequence[str],
    epoch: int,
    tools: Path,
    log: Path,
) -> None:
    """Pack squashfs layers (name -> file, lowest first) into a hybrid ISO at `result`.

    `tools` is the mounted tools tree. The same inputs give the same bytes.
    """
    assert layout.VOLUME_ID.fullmatch(volume_id), volume_id
    with tempfile.TemporaryDirectory(dir=result.parent, prefix="iso-") as scratch:
        work = Path(scratch)
        sources = {f"{name}.squashfs": path for name, path in layers.items()}
        sources |= {"initrd.img": initrd, "vmlinuz": kernel}
        own = _write_own_files(work, list(layers), volume_id, kernel_arguments)
        _copy_signed_programs(tools, work, epoch)
        contents = {f"/live/{name}": f"/mnt/{name}" for name in sources}
        contents |= {f"/{path}": f"{WORK}/{path}" for path in own}
        contents["/boot/grub/eltorito.img"] = f"{WORK}/eltorito.img"
        for argv in _commands(contents, volume_id, epoch):
            run(
                isolated(argv, root=tools, bindings={"work": work, **sources}, tmpfs=("/tmp",)),
                log=log,
                env={"SOURCE_DATE_EPOCH": str(epoch)},
            )
        (work / "image.iso").replace(result)


def _commands(
    contents: Mapping[str, str], volume_id: str, epoch: int
) -> tuple[tuple[str, ...], ...]:
    esp = f"{WORK}/esp.img"
    volume_number = f"{epoch & 0xFFFFFFFF:08x}"
    return (
        layout.bios_image_command(f"{WORK}/eltorito.cfg", f"{WORK}/eltorito.img"),
        *layout.esp_commands(esp, f"{WORK}/programs", volume_number),
        layout.iso_command(contents, esp, f"{WORK}/image.iso", volume_id, epoch),
    )


def _write_own_files(
    work: Path, names: Sequence[str], volume_id: str, kernel_arguments: Sequence[str]
) -> tuple[str, ...]:
    """Write what no layer brings and give its paths, the same in the ISO."""
    data = files(layout.__package__)
    template = data.joinpath("grub.cfg.j2").read_text()
    own = {
        ".disk/info": f"{volume_id}\n",
        "boot/grub/grub.cfg": layout.grub_configuration(template, volume_id, kernel_arguments),
        "live/filesystem.module": layout.layer_order(names),
    }
    for path, text in own.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
    (work / "eltorito.cfg").write_text(data.joinpath("eltorito.cfg").read_text())
    return tuple(own)


def _copy_signed_programs(tools: Path, work: Path, epoch: int) -> None:
    programs = work / "programs"
    programs.mkdir()
    for name, source in layout.ESP_FILES.items():
        shutil.copyfile(tools / source.lstrip("/"), programs / name)
        os.utime(programs / name, (epoch, epoch))

# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ISO holds and the commands that pack it; pure, paths are those of the tools tree.

Source: facts measured with GRUB 2.12, shim 16.1 and xorriso 1.5.6; grml-live's ISO layout.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

MODULES_FOLDER = "/usr/lib/grub/i386-pc"
GPT_NAMESPACE = uuid.UUID("7c7a3c53-35c0-4e3c-9d3f-2a5d0f6fb0a1")
ESP_TYPE = "0xef"
ISO_PARTITION_TYPE = "a2a0d0ebe5b9334487c068b6b72699c7"  # basic data, as xorriso wants it
ESP_KIBIBYTES = 6144
BIOS_MODULES = (
    *("all_video", "biosdisk", "configfile", "echo", "fat", "font", "gfxterm", "gzio"),
    *("iso9660", "linux", "ls", "normal", "part_gpt", "part_msdos", "png", "search"),
    *("search_fs_file", "search_label", "serial", "terminal", "test", "vbe", "vga"),
)
# The signed programs of the ESP: name there -> file of the tools tree.
ESP_FILES = {
    "BOOTX64.EFI": "/usr/lib/shim/shimx64.efi.signed",
    "grubx64.efi": "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed",
    "mmx64.efi": "/usr/lib/shim/mmx64.efi.signed",
}
BARE_ARGUMENT = re.compile(r"[A-Za-z0-9_.,:/=+@%-]+")
VOLUME_ID = re.compile(r"[A-Z0-9_]{1,32}")


def layer_order(names: Sequence[str]) -> str:
    """Give live-boot's `filesystem.module` for layers named lowest first."""
    return "".join(f"{name}.squashfs\n" for name in names)


def grub_configuration(template: str, volume_id: str, kernel_arguments: Sequence[str]) -> str:
    """Fill in the menu; every argument reaches the kernel as it is."""
    environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    arguments = [_quote_for_grub(argument) for argument in kernel_arguments]
    return environment.from_string(template).render(volume_id=volume_id, arguments=arguments)


def bios_image_command(configuration: str, result: str) -> tuple[str, ...]:
    """Make the El Torito program for BIOS, with a configuration built in."""
    return (
        *("grub-mkimage", "--format=i386-pc-eltorito", f"--directory={MODULES_FOLDER}"),
        *("--prefix=/boot/grub", f"--config={configuration}", f"--output={result}"),
        *BIOS_MODULES,
    )


def esp_commands(image: str, programs: str, volume_number: str) -> tuple[tuple[str, ...], ...]:
    """Make the EFI system partition from the folder that holds the signed programs."""
    return (
        (
            *("mkfs.vfat", "-C", "--invariant", "-i", volume_number, "-n", "ESP"),
            *("-F", "12", image, str(ESP_KIBIBYTES)),
        ),
        ("mmd", "-i", image, "::EFI", "::EFI/BOOT"),
        *(
            ("mcopy", "-m", "-i", image, f"{programs}/{name}", f"::EFI/BOOT/{name}")
            for name in sorted(ESP_FILES)
        ),
    )


def iso_command(
    contents: Mapping[str, str], esp: str, result: str, volume_id: str, epoch: int
) -> tuple[str, ...]:
    """Pack files (path in the ISO -> file) into an ISO that BIOS and UEFI start."""
    date = datetime.fromtimestamp(epoch, UTC).strftime("%Y%m%d%H%M%S00")
    disk_guid = uuid.uuid5(GPT_NAMESPACE, f"{volume_id} {epoch}")
    return (
        *("xorriso", "-no_rc", "-as", "mkisofs", "-o", result, "-V", volume_id),
        *("-iso-level", "3", "-r", "-partition_offset", "16", "--mbr-force-bootable"),
        *("--grub2-mbr", f"{MODULES_FOLDER}/boot_hybrid.img"),
        *("-append_partition", "2", ESP_TYPE, esp, "-appended_part_as_gpt"),
        *("-iso_mbr_part_type", ISO_PARTITION_TYPE, "-c", "boot/grub/boot.catalog"),
        *("-b", "boot/grub/eltorito.img", "-no-emul-boot", "-boot-load-size", "4"),
        *("-boot-info-table", "--grub2-boot-info", "-eltorito-alt-boot"),
        *("-e", "--interval:appended_partition_2:all::", "-no-emul-boot"),
        *(f"--modification-date={date}", "--set_all_file_dates", date),
        *("--gpt_disk_guid", disk_guid.hex, "-graft-points"),
        *(f"{path}={source}" for path, source in sorted(contents.items())),
    )


def _quote_for_grub(argument: str) -> str:
    """Quote an argument. Source: GRUB manual, section "Quoting"."""
    if BARE_ARGUMENT.fullmatch(argument):
        return argument
    return "'" + argument.replace("'", "'\\''") + "'"

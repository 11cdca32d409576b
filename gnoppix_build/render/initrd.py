# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a system that its initrd contains, too."""

from typing import Final

# Source: initramfs-tools(7), initramfs-tools-core's hooks: udev takes .link files and rules,
# kmod its settings, keymap and live-boot theirs.
INITRD_READS: Final = (
    "/etc/console-setup/",
    "/etc/crypttab",
    "/etc/default/console-setup",
    "/etc/default/keyboard",
    "/etc/fstab",
    "/etc/initramfs-tools/",
    "/etc/live/",
    "/etc/modprobe.d/",
    "/etc/modules",
    "/etc/modules-load.d/",
    "/etc/systemd/network/99-default.link",
    "/etc/udev/",
    "/usr/share/initramfs-tools/",
)

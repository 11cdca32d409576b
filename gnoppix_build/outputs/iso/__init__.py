# SPDX-License-Identifier: GPL-3.0-or-later
"""The ISO: a live image for optical media and USB sticks, for BIOS and for UEFI."""

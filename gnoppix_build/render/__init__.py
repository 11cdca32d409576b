# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything decided, to every file that an image or a machine gets."""

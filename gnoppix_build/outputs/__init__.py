# SPDX-License-Identifier: GPL-3.0-or-later
"""Image formats, a folder each, found by name."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs, a file each; `verb` is the click command."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check looks at: a tree, or a running system."""

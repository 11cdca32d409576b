# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs, as functions over ports."""

"""The verbs, as functions over ports."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""A rendered tree to ordered steps, each with a reason and a digest."""

"""From a rendered tree to the ordered steps that make an image of it."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles and components to one set of decisions."""

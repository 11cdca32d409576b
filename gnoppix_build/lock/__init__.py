# SPDX-License-Identifier: GPL-3.0-or-later
"""Exactly which packages and bytes a profile stands for."""

"""The lock: what a build takes from outside."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings as text, JSON and JUnit XML."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings as text, JSON and JUnit XML; components as text, JSON and pages."""

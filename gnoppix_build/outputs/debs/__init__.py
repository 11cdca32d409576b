# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages: the configuration of each component, and one that wants them all."""

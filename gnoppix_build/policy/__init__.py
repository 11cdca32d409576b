# SPDX-License-Identifier: GPL-3.0-or-later
"""The network policy: compiled from declarations, written as a ruleset."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The components' checks: running them and what they found."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""All input and output; nothing else in the package runs a command or opens a file."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""One declarative profile becomes an image, a provisioned machine, and the evidence."""

__version__ = "0.1.0"

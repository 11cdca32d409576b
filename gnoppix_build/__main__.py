# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m gnoppix_build` is the command `build-image`."""

from gnoppix_build.cli import main

main()

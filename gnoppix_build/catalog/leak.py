# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs tell others unasked, and what ends that; data, not code."""

from pydantic import Field

from gnoppix_build.catalog.declaration import Condition, Declaration
from gnoppix_build.language.leaves import Line, PackageName, SystemPath, VariableName


class Leak(Declaration):
    """What a program tells others unasked, or keeps of what it is told, and what ends that.

    `environment` maps variables to values, `dconf` keys to values in GVariant's text form, and
    `debconf` questions, written as PACKAGE/NAME, to the choice that is made. `by_hand` is what
    only the program's own file or call decides, `left` what nothing ends: a profile that has one
    of `packages` is refused then. `source` tells where it is seen.
    """

    program: Line
    tells: Line
    source: Line
    packages: tuple[PackageName, ...] = ()
    environment: dict[VariableName, Line] = Field(default_factory=dict)
    dconf: dict[SystemPath, Line] = Field(default_factory=dict)
    debconf: dict[Line, Line] = Field(default_factory=dict)
    by_hand: Line = ""
    left: Line = ""
    when: Condition = Field(default_factory=dict)

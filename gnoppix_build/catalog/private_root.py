# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component declares of its private root: a few files of another suite, run as they are.

Source: systemd.exec(5), `RootImage=`.
"""

from typing import Annotated, Final

from gnoppix_build.catalog.declaration import Declaration
from gnoppix_build.language.leaves import Name, PackageName, SystemPath, matching

_KEPT = matching(
    r"(/[A-Za-z0-9_+,:@=~*-][A-Za-z0-9._+,:@=~*-]*)+",
    "not-a-path",
    "a path of a package",
    "write it from `/` on; `*` stands for any part of a name",
)
KeptPath = Annotated[str, _KEPT[0], _KEPT[1]]
_LIBRARY = matching(
    r"lib[A-Za-z0-9_+-]+\.so(\.[0-9]+)*", "not-a-library", "the name of a shared library"
)
Library = Annotated[str, _LIBRARY[0], _LIBRARY[1]]

ROOTS_FOLDER: Final = "/usr/lib/gnoppix/private-roots"


class PrivateRoot(Declaration):
    """A small root of its own for the units of a component.

    Of `packages`, which are of another suite, only what `keeps` names gets there; what they depend
    on has to be among them. A library of `stand-ins` is left out: one takes its place whose
    functions do nothing and give 0. `mounts` are folders for a unit to mount something on.
    """

    suite: Name
    packages: tuple[PackageName, ...]
    keeps: tuple[KeptPath, ...]
    stand_ins: tuple[Library, ...] = ()
    mounts: tuple[SystemPath, ...] = ()


def path_of_root(component: str) -> str:
    """Give the place of a component's private root on a system."""
    return f"{ROOTS_FOLDER}/{component}.squashfs"

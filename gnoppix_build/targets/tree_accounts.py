# SPDX-License-Identifier: GPL-3.0-or-later
"""The users and groups of a tree, read from its own /etc/passwd and /etc/group."""

from dataclasses import dataclass

from gnoppix_build.targets.paths import TreePaths

UNKNOWN = "UNKNOWN"


def read_fields(paths: TreePaths, path: str) -> list[list[str]]:
    """Give the colon-separated fields of each line; none when the file is missing.

    Source: passwd(5), group(5).
    """
    file = paths.on_host(paths.resolve(path))
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return [line.split(":") for line in lines if line.strip()]


def name_of_number(paths: TreePaths, path: str, number: int) -> str:
    """Say who has the number, in the words of stat(1)."""
    names = [fields[0] for fields in read_fields(paths, path) if fields[2] == str(number)]
    return names[0] if names else UNKNOWN


@dataclass(frozen=True)
class TreeUser:
    """An account of the tree, with the words of testinfra's user."""

    paths: TreePaths
    name: str

    @property
    def exists(self) -> bool:
        """Whether the account is there."""
        return any(fields[0] == self.name for fields in read_fields(self.paths, "/etc/passwd"))

    @property
    def uid(self) -> int:
        """The user's number."""
        return int(self._field(2))

    @property
    def gid(self) -> int:
        """The number of the user's first group."""
        return int(self._field(3))

    @property
    def gecos(self) -> str:
        """The user's full name, as it was entered."""
        return self._field(4)

    @property
    def home(self) -> str:
        """The home folder."""
        return self._field(5)

    @property
    def shell(self) -> str:
        """The login shell."""
        return self._field(6)

    @property
    def group(self) -> str:
        """The user's first group."""
        return name_of_number(self.paths, "/etc/group", self.gid)

    @property
    def groups(self) -> list[str]:
        """Every group that the user is in, the first group first."""
        others = [
            fields[0]
            for fields in read_fields(self.paths, "/etc/group")
            if self.name in fields[3].split(",") and fields[0] != self.group
        ]
        return [self.group, *others]

    @property
    def password(self) -> str:
        """The encrypted password, or what stands in its place."""
        return _fields_of(self.paths, "/etc/shadow", self.name)[1]

    def _field(self, number: int) -> str:
        return _fields_of(self.paths, "/etc/passwd", self.name)[number]


@dataclass(frozen=True)
class TreeGroup:
    """A group of the tree, with the words of testinfra's group."""

    paths: TreePaths
    name: str

    @property
    def exists(self) -> bool:
        """Whether the group is there."""
        return any(fields[0] == self.name for fields in read_fields(self.paths, "/etc/group"))

    @property
    def gid(self) -> int:
        """The group's number."""
        return int(_fields_of(self.paths, "/etc/group", self.name)[2])

    @property
    def members(self) -> list[str]:
        """The users listed with the group."""
        return [
            name for name in _fields_of(self.paths, "/etc/group", self.name)[3].split(",") if name
        ]


def _fields_of(paths: TreePaths, path: str, name: str) -> list[str]:
    for fields in read_fields(paths, path):
        if fields[0] == name:
            return fields
    raise LookupError(f"`{name}` is not in {path} of the tree")

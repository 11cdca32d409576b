# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of a system will tell its kernel: settings, and programs in the place of modules.

The file of a name in an earlier folder hides those of the same name in later ones; all others are
read in the order of their names. Source: sysctl.d(5), modprobe.d(5).
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final, Protocol

from gnoppix_build.resolve.kernel import module_name
from gnoppix_build.resolve.sysctl import setting_name

# What is in /run is there only in a running system, which is asked for the values themselves.
_FOLDERS: Final = ("/etc", "/usr/local/lib", "/usr/lib")
_NOTHING: Final = "/dev/null"


class File(Protocol):
    """What is asked of a file."""

    @property
    def content_string(self) -> str:
        """Give its text."""
        ...

    @property
    def is_symlink(self) -> bool:
        """Tell whether it is a link."""
        ...

    @property
    def linked_to(self) -> str:
        """Give where a link leads to."""
        ...


class Host(Protocol):
    """What is asked of a target."""

    def file(self, path: str) -> File:
        """Give a file."""
        ...

    def find_files(self, pattern: str) -> list[str]:
        """Give the paths that match a glob."""
        ...


def settings_in_files(host: Host) -> dict[str, str]:
    """Give each setting that is named without a wildcard, or by the same one -> its last value."""
    found = {}
    for line in _lines(host, "sysctl.d"):
        key, is_setting, value = line.partition("=")
        if is_setting:
            found[setting_name(key.strip())] = " ".join(value.split())
    return found


def program_for_module(host: Host, module: str) -> str | None:
    """Give the program that is run when a module is to be loaded: the first that is named."""
    for line in _lines(host, "modprobe.d"):
        command, _, rest = line.partition(" ")
        pattern, _, program = rest.strip().partition(" ")
        if command == "install" and fnmatchcase(module_name(module), module_name(pattern)):
            return program.strip()
    return None


def _lines(host: Host, kind: str) -> Iterator[str]:
    files: dict[str, str] = {}
    for folder in _FOLDERS:
        for path in host.find_files(f"{folder}/{kind}/*.conf"):
            files.setdefault(path.rpartition("/")[2], path)
    for name in sorted(files):
        file = host.file(files[name])
        is_masked = file.is_symlink and file.linked_to == _NOTHING
        for line in () if is_masked else file.content_string.splitlines():
            if line.strip() and line.strip()[0] not in "#;":
                yield line.strip()

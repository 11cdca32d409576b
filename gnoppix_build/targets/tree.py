# SPDX-License-Identifier: GPL-3.0-or-later
"""The static tier's target: a tree, none of whose code is run."""

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from debian.deb822 import Deb822

from gnoppix_build.checks.visibility import NotVisible
from gnoppix_build.targets.paths import TreePaths
from gnoppix_build.targets.tree_accounts import TreeGroup, TreeUser, name_of_number
from gnoppix_build.targets.tree_units import TreeService

DPKG_STATUS = "/var/lib/dpkg/status"
# testinfra's words that only a running system can answer.
RUNNING_WORDS = frozenset(
    {
        "addr",
        "ansible",
        "backend",
        "block_device",
        "check_output",
        "command",
        "docker",
        "environment",
        "exists",
        "find_command",
        "get_host",
        "interface",
        "ip6tables",
        "iptables",
        "mount_point",
        "pip",
        "podman",
        "process",
        "puppet",
        "run",
        "run_expect",
        "run_test",
        "salt",
        "socket",
        "sudo",
        "supervisor",
        "sysctl",
        "system_info",
    }
)


@dataclass(frozen=True)
class TreeFile:
    """A path of the tree, with the words of testinfra's file; links are followed as there."""

    paths: TreePaths
    path: str

    @property
    def exists(self) -> bool:
        """Whether the path leads to something."""
        return self._status() is not None

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self._is(stat.S_ISREG)

    @property
    def is_directory(self) -> bool:
        """Whether it is a folder."""
        return self._is(stat.S_ISDIR)

    @property
    def is_executable(self) -> bool:
        """Whether someone may execute it."""
        return bool(self.mode & 0o111) if self.exists else False

    @property
    def is_symlink(self) -> bool:
        """Whether the path itself is a link."""
        return self.paths.on_host(self.paths.resolve(self.path, follow_last=False)).is_symlink()

    @property
    def linked_to(self) -> str:
        """The path that the links lead to in the image, there or not."""
        return str(self.paths.trace(self.path))

    @property
    def content(self) -> bytes:
        """The bytes of a regular file."""
        if self.exists and not self.is_file:
            raise OSError(f"`{self.path}` is not a regular file")
        return self._resolved().read_bytes()

    @property
    def content_string(self) -> str:
        """The text of a regular file, which must be UTF-8."""
        return self.content.decode()

    @property
    def mode(self) -> int:
        """The permission bits."""
        return stat.S_IMODE(self._existing().st_mode)

    @property
    def uid(self) -> int:
        """The owner's number."""
        return self._existing().st_uid

    @property
    def gid(self) -> int:
        """The group's number."""
        return self._existing().st_gid

    @property
    def user(self) -> str:
        """The owner's name in the image."""
        return name_of_number(self.paths, "/etc/passwd", self.uid)

    @property
    def group(self) -> str:
        """The group's name in the image."""
        return name_of_number(self.paths, "/etc/group", self.gid)

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self._existing().st_size

    @property
    def sha256sum(self) -> str:
        """The SHA-256 of the content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    def listdir(self) -> list[str]:
        """Give the names in a folder, without hidden ones, as `ls` does."""
        return sorted(
            entry.name for entry in self._resolved().iterdir() if not entry.name.startswith(".")
        )

    def _resolved(self) -> Path:
        return self.paths.on_host(self.paths.resolve(self.path))

    def _status(self) -> os.stat_result | None:
        try:
            return os.lstat(self._resolved())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _existing(self) -> os.stat_result:
        status = self._status()
        if status is None:
            raise FileNotFoundError(f"`{self.path}` is not in the tree")
        return status

    def _is(self, has_type: Callable[[int], bool]) -> bool:
        status = self._status()
        return status is not None and has_type(status.st_mode)


@dataclass(frozen=True)
class TreePackage:
    """A Debian package of the tree, with the words of testinfra's package."""

    versions: Mapping[str, str]
    name: str

    @property
    def is_installed(self) -> bool:
        """Whether dpkg has it as installed."""
        return self.name in self.versions

    @property
    def version(self) -> str:
        """The installed version, in full."""
        if self.name not in self.versions:
            raise LookupError(f"the package `{self.name}` is not installed in the tree")
        return self.versions[self.name]


class TreeHost:
    """A tree seen through testinfra's vocabulary.

    What only a running system can answer raises NotVisible; a word that testinfra does not know
    either is an AttributeError.
    """

    def __init__(self, root: Path) -> None:
        self._paths = TreePaths(root.resolve(strict=True))

    def file(self, path: str) -> TreeFile:
        """Look at a path."""
        return TreeFile(self._paths, path)

    def package(self, name: str) -> TreePackage:
        """Look at a Debian package."""
        return TreePackage(self._versions, name)

    def service(self, name: str) -> TreeService:
        """Look at a unit; without a suffix, a service."""
        return TreeService(self._paths, name)

    def user(self, name: str) -> TreeUser:
        """Look at an account."""
        return TreeUser(self._paths, name)

    def group(self, name: str) -> TreeGroup:
        """Look at a group."""
        return TreeGroup(self._paths, name)

    def find_files(self, pattern: str) -> list[str]:
        """Give the paths in the image that match a glob, sorted; `**` is any number of folders."""
        return self._paths.find(pattern)

    def __getattr__(self, word: str) -> NoReturn:
        if word in RUNNING_WORDS:
            raise NotVisible(f"`{word}` needs a running system")
        raise AttributeError(f"a host has no `{word}`")

    @cached_property
    def _versions(self) -> Mapping[str, str]:
        status = self._paths.on_host(self._paths.resolve(DPKG_STATUS))
        if not status.is_file():
            raise NotVisible(f"the tree has no {DPKG_STATUS}")
        with status.open("rb") as stream:
            return {
                paragraph["Package"]: paragraph["Version"]
                for paragraph in Deb822.iter_paragraphs(stream, use_apt_pkg=False)
                if paragraph["Status"].split()[1:] == ["ok", "installed"]
            }

# SPDX-License-Identifier: GPL-3.0-or-later
"""The rendered tree: every file that a build or a machine gets, final to the byte."""

from collections.abc import Mapping
from dataclasses import dataclass

from gnoppix_build.catalog.private_root import PrivateRoot
from gnoppix_build.resolve.models import ChosenModel


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A configuration file; `path` is absolute in the image, `origin` the component."""

    path: str
    content: bytes
    mode: int
    owner: str
    group: str
    origin: str


@dataclass(frozen=True, slots=True)
class RenderedTree:
    """What rendering yields.

    `files` maps a path in the ansible-runner private data directory to its bytes;
    `configuration` is the part of it that lands in the image; `sysusers` maps a
    layer to sysusers.d(5) lines; `packages` maps a layer to package names; `private_roots` maps
    a component to the root of its own that it runs in; `models` have a layer each.
    """

    profile: str
    files: Mapping[str, bytes]
    configuration: tuple[ImageFile, ...]
    sysusers: Mapping[str, str]
    packages: Mapping[str, tuple[str, ...]]
    kernel_arguments: tuple[str, ...]
    private_roots: Mapping[str, PrivateRoot]
    models: tuple[ChosenModel, ...] = ()

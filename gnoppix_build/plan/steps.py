# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a build: a closed set of values, each with a reason and the digest of its inputs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gnoppix_build.catalog.private_root import PrivateRoot
from gnoppix_build.lock.model import Package
from gnoppix_build.render.tree import ImageFile
from gnoppix_build.resolve.models import ChosenModel

Layer = str
"""`tools`, `base`, `packages`, `configuration`, or the name of a layer that carries one file."""

Compression = Literal["development", "release", "stored"]
"""`stored` is for what does not get smaller by being packed again."""

PLACED_MODE: Final = 0o444
"""A file of a layer of its own is data that nobody changes, and that a check may hash."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Bring the .debs of a layer into the pool."""

    layer: Layer
    packages: tuple[Package, ...]


@dataclass(frozen=True, slots=True)
class FetchModel:
    """Bring the file of a model into the pool, and hold it against what is declared of it."""

    layer: Layer
    model: ChosenModel


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Make a root from nothing but these .debs; `sysusers` fixes the numbers of its users."""

    layer: Layer
    packages: tuple[Package, ...]
    sysusers: str


@dataclass(frozen=True, slots=True)
class Install:
    """Install .debs on the layers below."""

    layer: Layer
    packages: tuple[Package, ...]
    sysusers: str
    lowers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Apply:
    """Bring the configuration to the layers below, by Ansible."""

    layer: Layer
    tree: Mapping[str, bytes]
    lowers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Unpack:
    """Take from .debs the files that a private root keeps; nothing of them is run."""

    layer: Layer
    packages: tuple[Package, ...]
    root: PrivateRoot


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of the lock that is no .deb; it lies in the pool under its hash."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Place:
    """Make a tree that holds one file: a blob, or what the step of that name has packed."""

    layer: Layer
    path: str
    content: Blob | str


@dataclass(frozen=True, slots=True)
class PackLayer:
    """Pack the tree that the step `tree` makes into a squashfs."""

    layer: Layer
    tree: str
    compression: Compression


@dataclass(frozen=True, slots=True)
class MakeInitrd:
    """Make the initrd of the layers and of exactly the configuration files that it reads."""

    files: tuple[ImageFile, ...]
    lowers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class PackOutput:
    """Pack layers, kernel and initrd into a bootable image."""

    volume_id: str
    kernel_arguments: tuple[str, ...]
    layers: tuple[Layer, ...]


MakesTree = Bootstrap | Install | Apply | Unpack | Place
Action = Fetch | FetchModel | MakesTree | PackLayer | MakeInitrd | PackOutput


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what is done, why, and `inputs` (label -> digest) that decide its result."""

    id: str
    action: Action
    reason: str
    inputs: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Name the result: equal digests mean equal results."""
        return digest_of([type(self.action).__name__, sorted(self.inputs.items())])


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps that make one image, in order; each needs only steps before it."""

    profile: str
    epoch: int
    steps: tuple[Step, ...]

    @property
    def models(self) -> tuple[ChosenModel, ...]:
        """Give the models that the image carries."""
        actions = (step.action for step in self.steps)
        return tuple(each.model for each in actions if isinstance(each, FetchModel))

    def step(self, step_id: str) -> Step:
        """Give the step of a name."""
        return next(step for step in self.steps if step.id == step_id)


def digest_of(value: object) -> str:
    """Hash a value made of lists, numbers and strings."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

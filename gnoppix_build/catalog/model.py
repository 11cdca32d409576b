# SPDX-License-Identifier: GPL-3.0-or-later
"""What a language model is: where its file comes from, what is in it, and the memory it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Discriminator, Tag

from gnoppix_build.catalog.declaration import (
    CommitSource,
    CountSource,
    Declaration,
    FromOption,
    Sha256Source,
)
from gnoppix_build.language.leaves import (
    Count,
    FilePath,
    Line,
    Name,
    Sha256,
    WebAddress,
    WheelPin,
)

MODELS_FOLDER: Final = "/usr/share/gnoppix/models"
MIB: Final = 1024**2
GIB: Final = 1024**3
# Measured with 0.7.0 and batches of 512 and 2048 tokens, docs/measured.md: what a server needs
# beside weights and cache is this, and for each token of the batch so many vectors of its width.
_SERVER: Final = 23 * MIB
_BATCH: Final = 512
_LONGEST_TEXT: Final = 2048
_VECTORS: Final = 16
_BYTES_OF_A_NUMBER: Final = 4
_BYTES_OF_A_CACHED_NUMBER: Final = 2


class WheelMember(Declaration):
    """A file in a Python wheel, `NAME==VERSION`, which the host's pip knows where to get."""

    wheel: WheelPin
    wheel_sha256: Sha256
    member: FilePath


class HubFile(Declaration):
    """A file of a repository at a hub, at one commit: a branch would be another file tomorrow."""

    hub: WebAddress
    commit: CommitSource
    file: FilePath


class WebFile(Declaration):
    """A file at an address."""

    url: WebAddress


class OwnFile(Declaration):
    """A file in the component's folder."""

    path: FilePath


def _form(value: object) -> str:
    """Tell the forms of a source apart by the key that only one of them has."""
    if isinstance(value, dict):
        return next((key for key in ("wheel", "hub", "url") if key in value), "path")
    forms: dict[type, str] = {WheelMember: "wheel", HubFile: "hub", WebFile: "url"}
    return forms.get(type(value), "path")


ModelSource = Annotated[
    Annotated[WheelMember, Tag("wheel")]
    | Annotated[HubFile, Tag("hub")]
    | Annotated[WebFile, Tag("url")]
    | Annotated[OwnFile, Tag("path")],
    Discriminator(_form),
]

Quantisation = Literal[
    "F32",
    "F16",
    "BF16",
    "Q4_0",
    "Q4_1",
    "Q5_0",
    "Q5_1",
    "Q8_0",
    "Q2_K",
    "Q3_K_S",
    "Q3_K_M",
    "Q3_K_L",
    "Q4_K_S",
    "Q4_K_M",
    "Q5_K_S",
    "Q5_K_M",
    "Q6_K",
]
BITS_PER_WEIGHT: Final[Mapping[Quantisation, float]] = {
    "F32": 32.0,
    "F16": 16.0,
    "BF16": 16.0,
    "Q4_0": 4.55,
    "Q4_1": 5.0,
    "Q5_0": 5.5,
    "Q5_1": 6.0,
    "Q8_0": 8.5,
    "Q2_K": 3.35,
    "Q3_K_S": 3.5,
    "Q3_K_M": 3.91,
    "Q3_K_L": 4.27,
    "Q4_K_S": 4.58,
    "Q4_K_M": 4.89,
    "Q5_K_S": 5.54,
    "Q5_K_M": 5.7,
    "Q6_K": 6.56,
}
"""What one weight takes in a file, about: some tensors are kept finer than the name says."""


class Model(Declaration):
    """A language model; what the file's own header says of it has to agree.

    `bytes`, `sha256` and a hub's `commit` are written when they were verified, and else left to
    an option that has to be given. `context` is the most tokens that it was trained for, `layers`,
    `kv-heads`, `head-dim` and `width` are what the size of its cache follows from.
    """

    format: Literal["gguf"]
    source: ModelSource
    bytes: CountSource
    sha256: Sha256Source
    licence: Line
    purpose: Literal["instruct", "reasoning", "embedding", "code", "test"]
    languages: tuple[Line, ...]
    parameters: Count
    quantisation: Quantisation
    architecture: Name
    context: Count
    layers: Count
    kv_heads: Count
    head_dim: Count
    width: Count

    @property
    def is_verified(self) -> bool:
        """Tell whether the bytes of the file are known, whatever a profile says."""
        return not isinstance(self.sha256, FromOption)

    @property
    def file_size(self) -> int:
        """Tell the size of the file in bytes, an estimate if only a profile can tell."""
        if isinstance(self.bytes, FromOption):
            return round(self.parameters * BITS_PER_WEIGHT[self.quantisation] / 8)
        size: int = self.bytes
        return size


@dataclass(frozen=True, slots=True)
class Need:
    """The memory, in bytes, that one instance of a model takes at most."""

    weights: int
    kv: int
    overhead: int

    @property
    def total(self) -> int:
        """Give the sum."""
        return self.weights + self.kv + self.overhead


def batch_of(model: Model, context: int) -> int:
    """Tell how many tokens a model takes at once: a text that becomes one vector has to fit."""
    longest = min(context, _LONGEST_TEXT) if model.purpose == "embedding" else 0
    return max(_BATCH, longest)


def need(model: Model, weights: int, context: int) -> Need:
    """Tell the memory for a model whose file has `weights` bytes, with a context in tokens.

    The cache holds a key and a value for each token, layer and head, in 16-bit numbers. A model
    that caches less for some layers (a sliding window) stays below that.
    """
    cached = 2 * model.layers * model.kv_heads * model.head_dim * _BYTES_OF_A_CACHED_NUMBER
    batch = batch_of(model, context) * _VECTORS * model.width * _BYTES_OF_A_NUMBER
    return Need(weights, cached * context, _SERVER + batch)


def path_of_model(name: str) -> str:
    """Say where a model lies in an image."""
    return f"{MODELS_FOLDER}/{name}.gguf"


def spell_size(number: int) -> str:
    """Write a number of bytes to one decimal place."""
    return f"{number / GIB:.1f} GiB" if number >= GIB else f"{number / MIB:.1f} MiB"


def spell_need(needed: Need) -> str:
    """Write a sum with its parts."""
    return (
        f"{spell_size(needed.total)} of memory: weights {spell_size(needed.weights)}, "
        f"cache {spell_size(needed.kv)}, overhead {spell_size(needed.overhead)}"
    )

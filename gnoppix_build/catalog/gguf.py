# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of a GGUF file: what a model's file says of itself.

The file is hostile: everything that is read of it is bounded.
Source: docs/gguf.md of ggml, versions 2 and 3 (little-endian).
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from gnoppix_build.catalog.model import Model, Quantisation
from gnoppix_build.diagnostics import Diagnostic
from gnoppix_build.language.node import Node, span_of

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
HEADER_LIMIT: Final = 128 * 1024**2
KEY_LIMIT: Final = 256
PAIR_LIMIT: Final = 4096
TEXT_LIMIT: Final = 4 * 1024**2
KEPT_NUMBERS: Final = 1024
"""A longer array says nothing of layers and is passed over, like all texts in arrays."""

_STRING: Final = 8
_ARRAY: Final = 9
_FORMATS: Final[Mapping[int, str]] = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
# Source: enum llama_ftype of llama.h.
_FILE_TYPES: Final[Mapping[int, Quantisation]] = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    32: "BF16",
}

Number = int | float
Value = Number | str | tuple[Number, ...]


class MalformedGguf(ValueError):
    """A file is no GGUF file, or one that is out of all bounds; the message says why."""


class Content(Protocol):
    """A file that is read from its start."""

    def read(self, size: int, /) -> bytes:
        """Give the next bytes; fewer at the end of the file."""
        ...


def read_header(content: Content) -> Mapping[str, Value]:
    """Give the pairs of the header: key -> number, text, or the numbers of a short array.

    Arrays of texts (the vocabulary) and long ones are left out. Raises MalformedGguf.
    """
    reader = _Reader(content)
    if reader.take(len(MAGIC)) != MAGIC:
        raise MalformedGguf("it does not start with `GGUF`")
    if (version := reader.number("I")) not in VERSIONS:
        raise MalformedGguf(f"version {version} of the format is not known")
    reader.number("Q")  # the number of tensors
    count = reader.count(PAIR_LIMIT, "pairs")
    pairs: dict[str, Value] = {}
    for _ in range(count):
        key = reader.text(KEY_LIMIT, "a key")
        value = reader.value(int(reader.number("I")))
        if key in pairs:
            raise MalformedGguf(f"the key `{key}` stands twice")
        if value is not None:
            pairs[key] = value
    return pairs


@dataclass(slots=True)
class _Reader:
    content: Content
    taken: int = 0

    def take(self, size: int) -> bytes:
        self.taken += size
        if self.taken > HEADER_LIMIT:
            raise MalformedGguf(f"its header is longer than {HEADER_LIMIT} bytes")
        read = self.content.read(size)
        if len(read) != size:
            raise MalformedGguf("it ends within its header")
        return read

    def number(self, form: str) -> Number:
        (value,) = struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))
        number: Number = value
        return number

    def count(self, limit: int, what: str) -> int:
        number = int(self.number("Q"))
        if number > limit:
            raise MalformedGguf(f"it claims to have {number} {what}")
        return number

    def text(self, limit: int, what: str) -> str:
        size = self.count(limit, f"bytes in {what}")
        try:
            return self.take(size).decode()
        except UnicodeDecodeError as error:
            raise MalformedGguf(f"{what} is no UTF-8") from error

    def value(self, kind: int) -> Value | None:
        if kind in _FORMATS:
            return self.number(_FORMATS[kind])
        if kind == _STRING:
            return self.text(TEXT_LIMIT, "a text")
        if kind == _ARRAY:
            return self.array(int(self.number("I")))
        raise MalformedGguf(f"a value is of the unknown type {kind}")

    def array(self, kind: int) -> Value | None:
        count = self.count(HEADER_LIMIT, "elements")
        if kind == _STRING:
            for _ in range(count):
                self.take(self.count(TEXT_LIMIT, "bytes in a text"))
            return None
        if kind not in _FORMATS:
            raise MalformedGguf(f"the elements of an array are of the unknown type {kind}")
        if count > KEPT_NUMBERS:
            self.take(count * struct.calcsize(f"<{_FORMATS[kind]}"))
            return None
        return tuple(self.number(_FORMATS[kind]) for _ in range(count))


def check_header(declared: Model, header: Mapping[str, Value], root: Node) -> Iterator[Diagnostic]:
    """Find what the file says otherwise than the manifest, whose tree is `root`.

    A context may be declared shorter than the file allows.
    """
    found = _figures(header)
    wanted: Mapping[str, str | int] = {
        "architecture": declared.architecture,
        "head-dim": declared.head_dim,
        "kv-heads": declared.kv_heads,
        "layers": declared.layers,
        "quantisation": declared.quantisation,
        "width": declared.width,
    }
    for key, value in wanted.items():
        if found.get(key) != value:
            yield _differs(root, key, value, found.get(key))
    context = found.get("context")
    if not isinstance(context, int) or context < declared.context:
        yield _differs(root, "context", declared.context, context)


def _differs(root: Node, key: str, declared: object, found: object) -> Diagnostic:
    said = "does not say" if found is None else f"says `{found}`"
    return Diagnostic(
        "model-differs",
        f"`{key}` is `{declared}` here, and the model's file {said}",
        span_of(root, ("model", key)),
        (),
        "declare what the file says, or take another file",
    )


def _figures(header: Mapping[str, Value]) -> Mapping[str, str | int | None]:
    """Give what a header says, by the keys of a manifest; None where it says nothing of use."""
    architecture = header.get("general.architecture")
    heads = _count(header, f"{architecture}.attention.head_count")
    width = _count(header, f"{architecture}.embedding_length")
    file_type = header.get("general.file_type")
    return {
        "architecture": architecture if isinstance(architecture, str) else None,
        "context": _count(header, f"{architecture}.context_length"),
        "head-dim": _count(header, f"{architecture}.attention.key_length")
        or (width // heads if width and heads else None),
        "kv-heads": _count(header, f"{architecture}.attention.head_count_kv") or heads,
        "layers": _count(header, f"{architecture}.block_count"),
        "quantisation": _FILE_TYPES.get(file_type) if isinstance(file_type, int) else None,
        "width": width,
    }


def _count(header: Mapping[str, Value], key: str) -> int | None:
    """Give a number, or the largest of those that each layer has."""
    value = header.get(key)
    numbers = value if isinstance(value, tuple) else (value,)
    counts = [each for each in numbers if isinstance(each, int) and each > 0]
    return max(counts, default=None)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component declares of a language model, in sentences."""

from collections.abc import Iterator
from typing import assert_never

from gnoppix_build.catalog.declaration import FromOption
from gnoppix_build.catalog.manifest import Manifest
from gnoppix_build.catalog.model import (
    MIB,
    HubFile,
    Model,
    ModelSource,
    OwnFile,
    WebFile,
    WheelMember,
    need,
)
from gnoppix_build.report.words import code, listing

_GIB = 1024 * MIB


def model_lines(manifest: Manifest) -> Iterator[str]:
    """Tell what the model is, where its file comes from, and what it needs."""
    model = manifest.model
    if model is None:
        return
    yield (
        f"{model.purpose}, {_count(model.parameters)} parameters ({model.quantisation}), "
        f"{listing(model.languages)}"
    )
    yield f"licence: {model.licence}"
    yield f"from {_source(model.source)}"
    if model.is_verified:
        yield f"{size(file_size(model))}, sha256 {model.sha256}"
    else:
        yield (
            f"about {size(file_size(model))}; its bytes were not verified, so a profile has to "
            "tell their digest"
        )
    needed = need(model, file_size(model), model.context)
    yield (
        f"at most {model.context} tokens, for which it needs {size(needed.total)}: weights "
        f"{size(needed.weights)}, cache {size(needed.kv)}, overhead {size(needed.overhead)}"
    )


def file_size(model: Model) -> int:
    """Give the size of a model's file in bytes; an estimate if only a profile can tell."""
    return model.estimated_bytes if isinstance(model.bytes, FromOption) else model.bytes


def size(number: int) -> str:
    """Write a number of bytes to one decimal place."""
    return f"{number / _GIB:.1f} GiB" if number >= _GIB else f"{number / MIB:.1f} MiB"


def _count(number: int) -> str:
    return f"{number / 10**9:.1f} G" if number >= 10**9 else f"{number:,}"


def _source(source: ModelSource) -> str:
    match source:
        case WheelMember():
            return f"{code(source.member)} in the wheel {source.wheel}"
        case HubFile():
            return f"{source.hub}, {code(source.file)}"
        case WebFile():
            return source.url
        case OwnFile():
            return f"{code(source.path)} in the component's folder"
        case _:
            assert_never(source)

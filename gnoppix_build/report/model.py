# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component declares of a language model, in sentences."""

from collections.abc import Iterator
from typing import assert_never

from gnoppix_build.catalog.manifest import Manifest
from gnoppix_build.catalog.model import (
    HubFile,
    ModelSource,
    OwnFile,
    WebFile,
    WheelMember,
    need,
    spell_need,
    spell_size,
)
from gnoppix_build.report.words import code, listing


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
        yield f"{spell_size(model.file_size)}, sha256 {model.sha256}"
    else:
        yield (
            f"about {spell_size(model.file_size)}; its bytes were not verified, so a profile "
            "has to tell their digest"
        )
    needed = need(model, model.file_size, model.context)
    yield f"at most {model.context} tokens, for which it needs {spell_need(needed)}"


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

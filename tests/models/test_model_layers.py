# SPDX-License-Identifier: GPL-3.0-or-later
"""A model has a layer of its own, which no other change makes anew, and a place in the report."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from model_files import TINY_BYTES, resolve_components

from gnoppix_build.app.results import describe_build
from gnoppix_build.lock.model import Lock, PackageSet
from gnoppix_build.lock.wanted import is_current, wanted_models
from gnoppix_build.plan.make import ToolVersions, make_plan
from gnoppix_build.plan.steps import Plan
from gnoppix_build.render.tree import RenderedTree
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.models import find_models

NOTHING = PackageSet((), ())
LAYER = ["fetch model-tiny-echo", "place model-tiny-echo", "pack model-tiny-echo"]


@pytest.fixture
def resolved(tmp_path: Path) -> Resolved:
    found = resolve_components(
        tmp_path, {}, "version: 1\nname: p\ncomponents: {tiny-echo: {context: 64}}\n"
    ).resolved
    assert found is not None
    return found


def lock_of(resolved: Resolved) -> Lock:
    return Lock("trixie", "amd64", 0, (), NOTHING, NOTHING, NOTHING, models=wanted_models(resolved))


def plan_of(resolved: Resolved, **files: bytes) -> Plan:
    models = tuple(find_models(resolved.components))
    tree = RenderedTree("p", files, (), {}, {}, (), {}, models)
    return make_plan(tree, lock_of(resolved), "development", ToolVersions("1", "1"))


def test_model_has_a_layer_of_its_own(resolved: Resolved) -> None:
    plan = plan_of(resolved)
    steps = [step.id for step in plan.steps if "model-" in step.id]
    assert steps == LAYER
    assert plan.step(LAYER[0]).reason == "1094496 bytes, CC0-1.0"
    assert plan.step(LAYER[1]).reason == "as `/usr/share/gnoppix/models/tiny-echo.gguf`"
    changed = plan_of(resolved, a=b"another configuration")
    assert [plan.step(each).digest for each in LAYER] == [
        changed.step(each).digest for each in LAYER
    ]
    assert plan.step("pack iso").digest != changed.step("pack iso").digest


def test_lock_of_another_digest_is_not_current(resolved: Resolved) -> None:
    lock = lock_of(resolved)
    assert is_current(lock, resolved, ())
    (model,) = lock.models
    other = replace(lock, models=(replace(model, sha256="0" * 64),))
    assert not is_current(other, resolved, ())
    assert not is_current(replace(lock, models=()), resolved, ())


def test_report_of_a_build_tells_sizes_and_licences(resolved: Resolved) -> None:
    files = describe_build(plan_of(resolved), lock_of(resolved), (), {"pack iso": 7})
    assert json.loads(files["p.build.json"])["sizes"] == {"pack iso": 7}
    assert json.loads(files["p.build.json"])["models"] == [
        {
            "name": "tiny-echo",
            "licence": "CC0-1.0",
            "size": len(TINY_BYTES),
            "sha256": "9a8b9ec43b05b2060a1d2e22bfa0876165b96ce5f3c3776db205659585a0c733",
            "context": 64,
            "memory": {
                "weights": 1094496,
                "kv": 49152,
                "overhead": 27262976,
                "total": 28406624,
            },
        }
    ]

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine gets besides configuration: private roots made here, and models fetched here."""

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from gnoppix_build.app.build import carry_out
from gnoppix_build.catalog.model import path_of_model
from gnoppix_build.catalog.private_root import path_of_root
from gnoppix_build.cli import locks, session
from gnoppix_build.cli.build import open_workshop, require_host
from gnoppix_build.cli.progress import ByteProgress, LineProgress
from gnoppix_build.effects.models import fetch_model
from gnoppix_build.effects.payloads import digest_of_file
from gnoppix_build.effects.store import Store
from gnoppix_build.lock.wanted import wanted_roots
from gnoppix_build.plan.make import make_roots_plan
from gnoppix_build.plan.payloads import step_of_root
from gnoppix_build.plan.steps import Plan
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.models import find_models


def require_payloads(profile: str, resolved: Resolved) -> Mapping[str, Path]:
    """Give path on the machine -> file here; what is not here yet is made and fetched."""
    logs = session.cache_folder() / "logs" / resolved.name
    roots = require_roots(profile, resolved)
    tell = ByteProgress().tell
    models = {
        path_of_model(model.name): fetch_model(
            model,
            session.cache_folder() / "pool",
            logs / f"fetch-{model.name}.log",
            partial(tell, f"fetch model-{model.name}"),
        )
        for model in find_models(resolved.components)
    }
    return {**roots, **models}


def require_digests(profile: str, resolved: Resolved) -> Mapping[str, str]:
    """Give path on the machine -> sha256; a private root has to be made for that."""
    roots = require_roots(profile, resolved)
    return {
        **{path: digest_of_file(file) for path, file in roots.items()},
        **{path_of_model(each.name): each.sha256 for each in find_models(resolved.components)},
    }


def require_roots(profile: str, resolved: Resolved) -> Mapping[str, Path]:
    """Give the private roots: path on the machine -> squashfs. To make one needs root."""
    wanted = wanted_roots(resolved)
    if not wanted:
        return {}
    lock = locks.require_lock_of_roots(profile, resolved)
    plan = make_roots_plan(resolved.name, wanted, lock, resolved.compression, locks.tool_versions())
    return _find_roots(plan, wanted) or _make_roots(plan, resolved, wanted)


def _find_roots(plan: Plan, wanted: Collection[str]) -> Mapping[str, Path]:
    """Give all of them if the store has them all, else none."""
    store = Store(session.cache_folder() / "store")
    found = {name: store.find(plan.step(step_of_root(name)).digest) for name in wanted}
    there = {path_of_root(name): file for name, file in found.items() if file is not None}
    return there if len(there) == len(found) else {}


def _make_roots(plan: Plan, resolved: Resolved, wanted: Collection[str]) -> Mapping[str, Path]:
    require_host()
    with open_workshop(plan, resolved) as workshop:
        made = carry_out(plan, workshop, LineProgress())
    return {path_of_root(name): made[step_of_root(name)] for name in wanted}

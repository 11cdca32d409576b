# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies beside an image and tells how it was made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from gnoppix_build.app.build import Outcome
from gnoppix_build.lock.model import Lock
from gnoppix_build.lock.text import format_lock
from gnoppix_build.plan.steps import Plan
from gnoppix_build.resolve.models import ChosenModel

FORMAT_VERSION = 1


def _describe_model(model: ChosenModel) -> Mapping[str, object]:
    needed = model.need
    return {
        "name": model.name,
        "licence": model.declaration.licence,
        "size": model.size,
        "sha256": model.sha256,
        "context": model.context,
        "memory": {**asdict(needed), "total": needed.total},
    }


def describe_build(
    plan: Plan, lock: Lock, outcomes: Sequence[Outcome], sizes: Mapping[str, int]
) -> Mapping[str, bytes]:
    """Give the lock, the package manifest and the report of a build: file name -> bytes.

    `sizes` maps the steps that left a file to its bytes: the layers and the image.
    """
    report = {
        "format_version": FORMAT_VERSION,
        "profile": plan.profile,
        "epoch": plan.epoch,
        "models": [_describe_model(each) for each in plan.models],
        "sizes": dict(sizes),
        "steps": [asdict(outcome) for outcome in outcomes],
    }
    installed = sorted(
        f"{package.name} {package.version} {package.architecture}\n"
        for package in (*lock.base.packages, *lock.packages.packages)
    )
    return {
        f"{plan.profile}.lock": format_lock(lock).encode(),
        f"{plan.profile}.packages": "".join(installed).encode(),
        f"{plan.profile}.build.json": (json.dumps(report, indent=2) + "\n").encode(),
    }

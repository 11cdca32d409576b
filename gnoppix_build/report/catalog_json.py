# SPDX-License-Identifier: GPL-3.0-or-later
"""Components as JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from gnoppix_build.report.component import DescribedComponent
from gnoppix_build.report.words import score


def catalog_document(components: Iterable[DescribedComponent]) -> Mapping[str, Any]:
    """Give each manifest with the component's name and its checks; an exposure as in `1.5`."""
    return {"components": [_document(each) for each in components]}


def _document(described: DescribedComponent) -> Mapping[str, Any]:
    manifest = described.component.manifest.model_dump(mode="json", by_alias=True)
    for service in manifest["services"]:
        service["exposure"] = score(service["exposure"])
    checks = [asdict(check) for check in described.checks]
    return {"name": described.component.name, **manifest, "checks": checks}

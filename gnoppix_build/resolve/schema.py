# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Schema (draft 7) of the files that people write, for their editors."""

from typing import Any, Final

from gnoppix_build.catalog.load import Catalog
from gnoppix_build.catalog.manifest import Manifest
from gnoppix_build.catalog.options import option_schema
from gnoppix_build.profile.model import Profile

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"


def profile_schema(catalog: Catalog) -> dict[str, Any]:
    """Describe a profile, with every component of the catalog and its options."""
    schema = {"$schema": _DRAFT, **Profile.model_json_schema()}
    components = schema["properties"]["components"]
    components.pop("additionalProperties", None)
    components.pop("propertyNames", None)
    components["additionalProperties"] = False
    components["properties"] = {
        name: {
            "description": component.manifest.summary,
            "anyOf": [{"enum": ["off", False]}, _options(component.manifest)],
        }
        for name, component in catalog.components.items()
    }
    return schema


def component_schema() -> dict[str, Any]:
    """Describe a component's manifest."""
    return {"$schema": _DRAFT, **Manifest.model_json_schema(by_alias=True)}


def _options(manifest: Manifest) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: option_schema(each) for key, each in manifest.options.items()},
    }

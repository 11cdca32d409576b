# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks as text: JSON with one package or model a line, so that a change reads well as a diff."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gnoppix_build.catalog.declaration import FromOption
from gnoppix_build.catalog.model import HubFile
from gnoppix_build.lock.model import Lock, LockedModel, LockedRoot, Package

FORMAT_VERSION = 1
SHA256 = re.compile(r"[0-9a-f]{64}")
# Source: Debian Policy 5.6.1, 5.6.12.
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
VERSION = re.compile(r"[A-Za-z0-9.+~:-]+")
ARCHITECTURE = re.compile(r"[a-z0-9-]+")
POOL_PATH = re.compile(r"[a-z-]+/pool(/[A-Za-z0-9][A-Za-z0-9+.~_%:-]*)+\.deb")
SETS = ("base", "packages", "tools")


class MalformedLock(ValueError):
    """A text is no lock; the message says where and why."""


def format_lock(lock: Lock) -> str:
    """Write a lock."""
    head = {
        "format_version": FORMAT_VERSION,
        "suite": lock.suite,
        "architecture": lock.architecture,
        "epoch": lock.epoch,
        "releases": [asdict(release) for release in lock.releases],
    }
    parts = [f' "{key}": {json.dumps(value)}' for key, value in head.items()]
    for name, packages in zip(SETS, (lock.base, lock.packages, lock.tools), strict=True):
        wanted = json.dumps(list(packages.wanted))
        rows = _rows(packages.packages)
        parts.append(f' "{name}": {{\n  "wanted": {wanted},\n  "packages": [\n{rows}\n  ]\n }}')
    if lock.private_roots:
        roots = ",\n".join(_format_root(root) for root in lock.private_roots)
        parts.append(f' "private_roots": [\n{roots}\n ]')
    if lock.models:
        rows = ",\n".join(f"  {json.dumps(_model_row(each))}" for each in lock.models)
        parts.append(f' "models": [\n{rows}\n ]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _format_root(root: LockedRoot) -> str:
    head = f'"component": {json.dumps(root.component)}, "suite": {json.dumps(root.suite)}'
    return f'  {{{head}, "packages": [\n{_rows(root.packages)}\n  ]}}'


def _rows(packages: Iterable[Package]) -> str:
    return ",\n".join(f"   {json.dumps(asdict(each))}" for each in packages)


def _model_row(model: LockedModel) -> Mapping[str, Any]:
    source = model.source.model_dump(mode="json", by_alias=True)
    return {"name": model.name, "size": model.size, "sha256": model.sha256, "source": source}


def parse_lock(text: str | bytes, name: str) -> Lock:
    """Read a lock; raises MalformedLock, which names the file and the fault."""
    try:
        document = json.loads(text, object_pairs_hook=_without_repetition)
        if not isinstance(document, dict) or document.pop("format_version", None) != FORMAT_VERSION:
            raise MalformedLock(f"`{name}` is no lock of format {FORMAT_VERSION}")
        lock = TypeAdapter(Lock).validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise MalformedLock(f"`{name}`: {place}: {first['msg'].lower()}") from error
    except (ValueError, RecursionError) as error:
        raise MalformedLock(f"`{name}` is no lock: {error}") from error
    roots = tuple(package for root in lock.private_roots for package in root.packages)
    known = (*lock.base.packages, *lock.packages.packages, *lock.tools.packages, *roots)
    _check_packages(name, known)
    _check_models(name, lock.models)
    return lock


def _without_repetition(pairs: Iterable[tuple[str, Any]]) -> Mapping[str, Any]:
    read: dict[str, Any] = {}
    for key, value in pairs:
        if key in read:
            raise MalformedLock(f"the key `{key}` stands twice")
        read[key] = value
    return read


def _check_packages(name: str, packages: Iterable[Package]) -> None:
    for package in packages:
        fields = (
            (NAME, package.name),
            (VERSION, package.version),
            (ARCHITECTURE, package.architecture),
            (SHA256, package.sha256),
            (POOL_PATH, package.path),
        )
        for pattern, value in fields:
            if not pattern.fullmatch(value):
                raise MalformedLock(f"`{name}`: package `{package.name}`: `{value}` cannot be used")


def _check_models(name: str, models: Iterable[LockedModel]) -> None:
    for model in models:
        if isinstance(model.source, HubFile) and isinstance(model.source.commit, FromOption):
            raise MalformedLock(f"`{name}`: model `{model.name}`: no commit is named")

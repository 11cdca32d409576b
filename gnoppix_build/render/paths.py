# SPDX-License-Identifier: GPL-3.0-or-later
"""Each path in the image has one owner; known after rendering: a template may yield nothing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from gnoppix_build.diagnostics import Diagnostic, Note, Span
from gnoppix_build.language.source import source_name
from gnoppix_build.render.configuration import FILES_FOLDER, TEMPLATE_SUFFIX
from gnoppix_build.render.sources import ComponentReader
from gnoppix_build.render.tree import ImageFile
from gnoppix_build.resolve.claims import tell_claims
from gnoppix_build.resolve.model import Resolved, ResolvedComponent
from gnoppix_build.resolve.parties import Party


def check_paths(
    resolved: Resolved, files: Iterable[ImageFile], reader: ComponentReader
) -> Iterator[Diagnostic]:
    """Find files that two components bring, and folders of one that are another's files."""
    wanted: dict[str, list[Party]] = defaultdict(list)
    for file in files:
        wanted[file.path].append(party_of(file, resolved, reader))
    for path, parties in wanted.items():
        if len(parties) > 1:
            yield tell_claims("path-taken", f"the path `{path}`", parties)
        below = [
            party
            for other, several in wanted.items()
            if other.startswith(f"{path}/")
            for party in several
        ]
        if below:
            yield tell_claims(
                "path-taken", f"the path `{path}`, a file and a folder,", parties + below
            )


def party_of(file: ImageFile, resolved: Resolved, reader: ComponentReader) -> Party:
    """Make the side of the component that brings a file."""
    component = next(each for each in resolved.components if each.name == file.origin)
    fact = Note(f"`{file.origin}` brings it here", _source_of(file.path, component, reader))
    return Party(file.origin, component.place, f"`{file.origin}` is asked for here", (fact,))


def _source_of(path: str, component: ResolvedComponent, reader: ComponentReader) -> Span:
    """Give the start of the file that it comes from: one in the folder, or the manifest."""
    folder = component.folder / FILES_FOLDER
    names = {path.removeprefix("/"), f"{path.removeprefix('/')}{TEMPLATE_SUFFIX}"}
    for source in reader.files_below(folder):
        if source.path in names:
            return Span(source_name(folder / source.path), 1, 1, 1, 1)
    return Span(component.root.span.file, 1, 1, 1, 1)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A component as its folder tells it: the manifest, the promises of its checks, its README."""

from dataclasses import dataclass
from typing import Final

from gnoppix_build.catalog.load import Component, check_file_name
from gnoppix_build.language.source import SourceReader, Unreadable
from gnoppix_build.report.check_file import CheckPromise, read_check_file

README_FILE: Final = "README.md"


@dataclass(frozen=True, slots=True)
class DescribedComponent:
    """A component with what its manifest alone does not tell."""

    component: Component
    checks: tuple[CheckPromise, ...]
    readme: str


def describe_component(component: Component, reader: SourceReader) -> DescribedComponent:
    """Read the check file and the README; what is not there counts as empty."""
    checks = _read_text(component, check_file_name(component.name), reader)
    readme = _read_text(component, README_FILE, reader)
    return DescribedComponent(component, read_check_file(checks), readme)


def _read_text(component: Component, file: str, reader: SourceReader) -> str:
    content = reader.read(component.folder / file)
    return "" if isinstance(content, Unreadable) else content.decode()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What pyproject.toml cannot say: the folders beside the package that are installed inside it."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

DATA_FOLDERS = ("playbooks", "profiles")
LEFT_OUT = ("__pycache__", ".ansible")


class BuildWithData(build_py):
    """Copies the data folders into the package, where an installed command looks for them."""

    def _get_data_files(self):
        """Give setuptools' tuples: package, source folder, build folder, names of files."""
        return [*super()._get_data_files(), *(self._files_of(name) for name in DATA_FOLDERS)]

    def _files_of(self, folder):
        names = [
            str(path.relative_to(folder))
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file() and not {*path.parts} & {*LEFT_OUT}
        ]
        return "gnoppix_build", folder, str(Path(self.build_lib, "gnoppix_build", folder)), names


setup(cmdclass={"build_py": BuildWithData})

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a profile has brought to a machine, kept there; Python's own library only."""

import json
import os

from ansible.module_utils.gnoppix_files import bring_back, find_status, make_folders, remember
from ansible.module_utils.gnoppix_files import write_whole as write_file

FOLDER = "/var/lib/gnoppix"
PATH = f"{FOLDER}/machine.json"
FORMAT_VERSION = 1


class Record:
    """The record of a machine.

    `files`: path -> component, part (ordinary, apt or gate) and what was there `before`; nothing
    for a payload, which is marked `is_payload`. `units`:
    unit -> component, part, what was `wanted` of it, and its state `before`. `folders` were made
    for files, `packages` installed. `unsettled` are paths that changed since units were
    last settled.
    """

    def __init__(self, written):
        self.files = written.get("files", {})
        self.units = written.get("units", {})
        self.folders = written.get("folders", [])
        self.packages = written.get("packages", [])
        self.unsettled = written.get("unsettled", [])

    @classmethod
    def load(cls):
        """Read the record; an empty one when nothing was brought yet."""
        try:
            with open(PATH, "rb") as stream:
                written = json.load(stream)
        except FileNotFoundError:
            return cls({})
        if written.get("format_version") != FORMAT_VERSION:
            raise ValueError(f"{PATH}: format version {written.get('format_version')} is not known")
        return cls(written)

    def save(self):
        """Write the record, whole or not at all."""
        written = {
            "format_version": FORMAT_VERSION,
            "files": self.files,
            "units": self.units,
            "folders": self.folders,
            "packages": self.packages,
            "unsettled": self.unsettled,
        }
        text = json.dumps(written, indent=1, sort_keys=True) + "\n"
        make_folders(PATH)
        # What was in a replaced file may be a secret.
        write_file(PATH, text.encode(), 0o600)

    def take_file(self, path, component, part):
        """Note a file that is about to be written, and what is there before the first time."""
        known = self.files.get(path)
        before = known["before"] if known else remember(path)
        self.files[path] = {"component": component, "part": part, "before": before}
        if part != "apt":
            self.unsettled = sorted({*self.unsettled, path})

    def take_payload(self, path, component):
        """Note a large file that is about to come; of what it replaces nothing is kept."""
        entry = {"component": component, "part": "ordinary", "before": None, "is_payload": True}
        self.files[path] = entry
        self.unsettled = sorted({*self.unsettled, path})

    def stirred_by(self, paths):
        """Name the components whose units start anew after a change of these recorded paths.

        A payload is read by units of other components too: of those that bring one.
        """
        stirred = {self.files[path]["component"] for path in paths}
        if any(self.files[path].get("is_payload") for path in paths):
            entries = self.files.values()
            stirred |= {entry["component"] for entry in entries if entry.get("is_payload")}
        return stirred

    def has_brought(self, component):
        """Tell whether files of a component are here, so that its units find what they need."""
        return any(entry["component"] == component for entry in self.files.values())

    def take_unit(self, unit, component, part, wanted, before):
        """Note what is wanted of a unit, and its state before the first time."""
        known = self.units.get(unit)
        kept = known["before"] if known else before
        entry = {"component": component, "part": part, "wanted": wanted, "before": kept}
        if known == entry:
            return False
        self.units[unit] = entry
        return True

    def give_back_file(self, path):
        """Make a file what it was before the profile came, and forget it."""
        bring_back(path, self.files[path]["before"])
        del self.files[path]
        folder = os.path.dirname(path)
        while folder in self.folders:
            try:
                os.rmdir(folder)
            except OSError:
                break
            self.folders.remove(folder)
            folder = os.path.dirname(folder)

    def gone_files(self, part, wanted):
        """Name the recorded files of a part that are not wanted any more."""
        return sorted(
            path
            for path, entry in self.files.items()
            if entry["part"] == part and path not in wanted
        )

    def gone_units(self, part, wanted):
        """Name the recorded units of a part of which nothing is wanted any more."""
        return sorted(
            unit
            for unit, entry in self.units.items()
            if entry["part"] == part and unit not in wanted
        )

    def unsettled_of(self, part):
        """Name the paths of a part that changed since it was settled."""
        return [
            path
            for path in self.unsettled
            if path in self.files and self.files[path]["part"] == part
        ]


def describe_gone(path, entry):
    """Give what --diff prints of a file that is not wanted any more."""
    after = "what was there before\n" if entry["before"] else ""
    before = "" if find_status(path) is None else f"a file of {entry['component']}\n"
    header = f"{path} ({entry['component']} is not in the profile)"
    return {"before_header": header, "after_header": header, "before": before, "after": after}

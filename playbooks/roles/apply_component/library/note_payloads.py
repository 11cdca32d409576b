# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell which large files of a machine are not as wanted, and note that they will be brought."""

import hashlib
import os
import stat

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.gnoppix_files import (
    describe_attributes,
    find_status,
    make_folders,
)
from ansible.module_utils.gnoppix_record import Record

DOCUMENTATION = """
module: note_payloads
author: the gnoppix-build developers
short_description: Compare payloads by their digests, before they are copied
description:
  - What differs is noted in the machine's record, and its folder is made. No byte is changed.
  - It refuses what does not fit on the disk, and what a folder is in the place of.
options:
  component:
    description: The component that brings them.
    type: str
    required: true
  payloads:
    description: Each with its path, its size in bytes and its sha256.
    type: list
    elements: dict
    required: true
"""
PAYLOAD_OPTIONS = {
    "path": {"type": "str", "required": True},
    "size": {"type": "int", "required": True},
    "sha256": {"type": "str", "required": True},
}
MODE = 0o444
PASSING = "/var/tmp"  # noqa: S108 - where Ansible's copy has been told to put what arrives


def describe(path):
    """Give the sha256 of a regular file, none for anything else, and its attributes."""
    status = find_status(path)
    if status is None or stat.S_ISLNK(status.st_mode):
        return "", describe_attributes(status)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("there is a folder or a device in its place")
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest(), describe_attributes(status)


def find_difference(payload):
    """Give what --diff prints, by digest: nothing when the file is as wanted."""
    path = payload["path"]
    if not path.startswith("/") or os.path.normpath(path) != path:
        raise ValueError("not a plain absolute path")
    digest, attributes = describe(path)
    before = {"sha256": digest, **attributes}
    after = {"sha256": payload["sha256"], "mode": f"{MODE:04o}", "owner": "root", "group": "root"}
    if before == after:
        return None
    is_absent = not attributes
    return {
        "before_header": f"{path} (absent)" if is_absent else path,
        "after_header": f"{path} ({payload['size']} bytes)",
        "before": {} if is_absent else before,
        "after": after,
    }


def check_space(payload):
    """Refuse a payload for which there is no room on its way, or where it goes."""
    folder = os.path.dirname(payload["path"])
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    for place in (PASSING, folder):
        status = os.statvfs(place)
        if status.f_bavail * status.f_frsize < payload["size"]:
            raise ValueError(f"{payload['size']} bytes are to come, and {place} has no room")


def note(payloads, component):
    """Write down what will come; the record is on the disk before the first byte of it."""
    record = Record.load()
    for payload in payloads:
        record.take_payload(payload["path"], component)
    record.save()
    folders = [folder for payload in payloads for folder in make_folders(payload["path"])]
    if folders:
        record.folders = sorted({*record.folders, *folders})
        record.save()


def main():
    """Compare all, and note what differs."""
    module = AnsibleModule(
        argument_spec={
            "component": {"type": "str", "required": True},
            "payloads": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": PAYLOAD_OPTIONS,
            },
        },
        supports_check_mode=True,
    )
    differing = []
    diff = []
    path = ""
    try:
        for payload in module.params["payloads"]:
            path = payload["path"]
            if difference := find_difference(payload):
                check_space(payload)
                differing.append(payload)
                diff.append(difference)
        if differing and not module.check_mode:
            note(differing, module.params["component"])
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"{path}: {error}")
    module.exit_json(
        changed=bool(differing),
        paths=[payload["path"] for payload in differing],
        diff=diff if module._diff else [],
    )


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The target's half of `apply_files`: write what differs, whole or not at all."""

import base64
import grp
import os
import pwd
import re
import stat
import tempfile

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: apply_files
author: the gnoppix-build developers
short_description: Give files their bytes, mode and owner
description:
  - A file that differs in any of them is replaced by a rename; a link in its place is replaced,
    never followed. Missing folders above it are made, 0755 and of root.
options:
  files:
    description: The files; content is base64, mode four octal digits.
    type: list
    elements: dict
    required: true
"""

FILE_OPTIONS = {
    "path": {"type": "str", "required": True},
    "mode": {"type": "str", "required": True},
    "owner": {"type": "str", "required": True},
    "group": {"type": "str", "required": True},
    "content": {"type": "str", "required": True},
}
# A tagged YAML scalar is read again: `!unsafe "0640"` arrives as the number 416.
MODE = re.compile("[0-7]{4}")


class Wanted:
    """A file as it shall be."""

    def __init__(self, entry):
        if not MODE.fullmatch(entry["mode"]):
            raise ValueError(f"mode {entry['mode']}: not four octal digits")
        self.path = entry["path"]
        self.mode = int(entry["mode"], 8)
        self.owner = entry["owner"]
        self.group = entry["group"]
        self.uid = _number(self.owner, lambda name: pwd.getpwnam(name).pw_uid)
        self.gid = _number(self.group, lambda name: grp.getgrnam(name).gr_gid)
        self.content = base64.b64decode(entry["content"], validate=True)
        if not self.path.startswith("/") or os.path.normpath(self.path) != self.path:
            raise ValueError("not a plain absolute path")


def _number(name, look_up):
    """Turn a name into a number; None when the target does not know the name."""
    if name.isdecimal():
        return int(name)
    try:
        return look_up(name)
    except KeyError:
        return None


def find_status(path):
    """Give the lstat of a path; None when nothing is there."""
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def read_content(path, status):
    """Give the bytes of a regular file; None for anything else."""
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
        return stream.read()


def describe_owner(number, known):
    """Name a user or group for a person."""
    try:
        return known(number)[0]
    except KeyError:
        return str(number)


def find_differences(wanted):
    """Give what --diff prints: nothing when the file is as wanted."""
    status = find_status(wanted.path)
    content = read_content(wanted.path, status)
    differences = []
    if content != wanted.content:
        before, after = (None if content is None else content), wanted.content
        differences.append(
            {
                "before_header": wanted.path if content is not None else f"{wanted.path} (absent)",
                "after_header": wanted.path,
                "before": show(before),
                "after": show(after),
            }
        )
    before = describe_attributes(status)
    after = {"mode": f"{wanted.mode:04o}", "owner": wanted.owner, "group": wanted.group}
    is_same = status is not None and (
        stat.S_ISREG(status.st_mode)
        and (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
        == (wanted.mode, wanted.uid, wanted.gid)
    )
    if not is_same:
        header = f"{wanted.path} (attributes)"
        differences.append(
            {"before_header": header, "after_header": header, "before": before, "after": after}
        )
    return differences


def describe_attributes(status):
    """Say the mode and owners that a file has."""
    if status is None:
        return {}
    described = {
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "owner": describe_owner(status.st_uid, pwd.getpwuid),
        "group": describe_owner(status.st_gid, grp.getgrgid),
    }
    if not stat.S_ISREG(status.st_mode):
        described["type"] = "link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
    return described


def show(content):
    """Give the text of a file for a diff, or its size when it is no text."""
    if content is None:
        return ""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"({len(content)} bytes that are no text)\n"


def make_folders(path):
    """Make the missing folders above a file, 0755 whatever the umask is."""
    missing = []
    folder = os.path.dirname(path)
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for folder in reversed(missing):
        os.mkdir(folder)
        os.chown(folder, 0, 0)
        os.chmod(folder, 0o755)


def replace(wanted):
    """Put the file there by a rename, complete from its first moment."""
    if wanted.uid is None or wanted.gid is None:
        raise ValueError(f"no user {wanted.owner} or no group {wanted.group}")
    make_folders(wanted.path)
    descriptor, passing = tempfile.mkstemp(prefix=".gnoppix-", dir=os.path.dirname(wanted.path))
    try:
        with open(descriptor, "wb") as stream:
            stream.write(wanted.content)
            stream.flush()
            os.fchown(descriptor, wanted.uid, wanted.gid)
            os.fchmod(descriptor, wanted.mode)
            os.fsync(descriptor)
        os.rename(passing, wanted.path)
    except BaseException:
        os.unlink(passing)
        raise


def main():
    """Bring every file to what is wanted and say which were not."""
    # no_log keeps the bytes out of the target's journal.
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": FILE_OPTIONS,
            }
        },
        supports_check_mode=True,
        no_log=True,
    )
    changed = []
    diff = []
    path = ""
    try:
        for entry in module.params["files"]:
            path = entry["path"]
            wanted = Wanted(entry)
            differences = find_differences(wanted)
            if differences:
                changed.append(path)
                diff += differences
                if not module.check_mode:
                    replace(wanted)
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"{path}: {error}", invocation={}, paths=changed)
    module.exit_json(
        changed=bool(changed), paths=changed, diff=diff if module._diff else [], invocation={}
    )


if __name__ == "__main__":
    main()

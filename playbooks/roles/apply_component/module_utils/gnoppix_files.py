# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as they shall be and as they were; Python's own library only, for it stays on a machine."""

import base64
import grp
import os
import pwd
import re
import stat
import tempfile

FILE_OPTIONS = {
    "path": {"type": "str", "required": True},
    "mode": {"type": "str", "required": True},
    "owner": {"type": "str", "required": True},
    "group": {"type": "str", "required": True},
    "component": {"type": "str", "required": True},
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
        self.component = entry["component"]
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
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_content(path, status):
    """Give the bytes of a regular file; None for anything else."""
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
        return stream.read()


def find_differences(wanted):
    """Give what --diff prints: nothing when the file is as wanted."""
    status = find_status(wanted.path)
    content = read_content(wanted.path, status)
    differences = []
    if content != wanted.content:
        differences.append(
            {
                "before_header": wanted.path if content is not None else f"{wanted.path} (absent)",
                "after_header": wanted.path,
                "before": show(content, status.st_mode) if content is not None else "",
                "after": show(wanted.content, wanted.mode, "new "),
            }
        )
    after = {"mode": f"{wanted.mode:04o}", "owner": wanted.owner, "group": wanted.group}
    is_same = status is not None and (
        stat.S_ISREG(status.st_mode)
        and (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
        == (wanted.mode, wanted.uid, wanted.gid)
    )
    if not is_same:
        header = f"{wanted.path} (attributes)"
        before = describe_attributes(status)
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


def describe_owner(number, known):
    """Name a user or group for a person."""
    try:
        return known(number)[0]
    except KeyError:
        return str(number)


def show(content, mode, attribute=""):
    """Give the text of a file for a diff, which ends up in logs: no text of a secret.

    The attribute keeps what stands for the text apart from what stands for another.
    """
    if not mode & stat.S_IROTH:
        return f"({len(content)} {attribute}bytes that others may not read)\n"
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"({len(content)} {attribute}bytes that are no text)\n"


def make_folders(path):
    """Make the missing folders above a file, 0755 whatever the umask is; gives those made."""
    missing = []
    folder = os.path.dirname(path)
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for made in reversed(missing):
        os.mkdir(made)
        os.chown(made, 0, 0)
        os.chmod(made, 0o755)
    return missing


def replace(wanted):
    """Put the file there by a rename, complete from its first moment; gives the folders made."""
    if wanted.uid is None or wanted.gid is None:
        raise ValueError(f"no user {wanted.owner} or no group {wanted.group}")
    made = make_folders(wanted.path)
    write_whole(wanted.path, wanted.content, wanted.mode, wanted.uid, wanted.gid)
    return made


def write_whole(path, content, mode, uid=0, gid=0):
    """Write a file beside its place and rename it into it."""
    descriptor, passing = tempfile.mkstemp(prefix=".gnoppix-", dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        os.rename(passing, path)
    except BaseException:
        os.unlink(passing)
        raise


def remember(path):
    """Describe what is at a path, so that `bring_back` can make it again; None for nothing."""
    status = find_status(path)
    if status is None:
        return None
    if stat.S_ISLNK(status.st_mode):
        return {"link": os.readlink(path)}
    content = read_content(path, status)
    if content is None:
        raise ValueError("there is a folder or a device in its place")
    owned = {"mode": stat.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid}
    return {"content": base64.b64encode(content).decode(), **owned}


def bring_back(path, remembered):
    """Make a path what it was."""
    if remembered is None or "link" in remembered:
        if find_status(path) is not None:
            os.unlink(path)
        if remembered is not None:
            os.symlink(remembered["link"], path)
        return
    make_folders(path)
    content = base64.b64decode(remembered["content"])
    write_whole(path, content, remembered["mode"], remembered["uid"], remembered["gid"])

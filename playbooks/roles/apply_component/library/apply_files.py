# SPDX-License-Identifier: GPL-3.0-or-later
"""The target's half of `apply_files`: write what differs, whole or not at all."""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.gnoppix_files import FILE_OPTIONS, Wanted, find_differences, replace
from ansible.module_utils.gnoppix_record import Record

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
  is_recorded:
    description:
      - Note in the machine's record what is brought, and keep what was there before.
    type: bool
    default: false
  part:
    description: What the files are for the record; those that apt reads are settled at once.
    type: str
    choices: [ordinary, apt]
    default: ordinary
"""
RETURN = """
awaits_tasks:
  description:
    - Whether a component's own tasks have something to do, for a file changed now, or in an earlier
      run that was interrupted before the machine was settled.
  type: bool
  returned: success
"""


def bring(files, record, part):
    """Write the files; what the record says is on the disk before the first of them."""
    if record is not None:
        for wanted in files:
            record.take_file(wanted.path, wanted.component, part)
        record.save()
    folders = [folder for wanted in files for folder in replace(wanted)]
    if record is not None and folders:
        record.folders = sorted({*record.folders, *folders})
        record.save()


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
            },
            "is_recorded": {"type": "bool", "default": False},
            "part": {"type": "str", "choices": ["ordinary", "apt"], "default": "ordinary"},
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
            if differences := find_differences(wanted):
                changed.append(wanted)
                diff += differences
        record = Record.load() if module.params["is_recorded"] else None
        unsettled = {*record.unsettled} if record is not None else set()
        awaits_tasks = any(entry["path"] in unsettled for entry in module.params["files"])
        if changed and not module.check_mode:
            path = ", ".join(wanted.path for wanted in changed)
            bring(changed, record, module.params["part"])
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"{path}: {error}", invocation={})
    module.exit_json(
        changed=bool(changed),
        awaits_tasks=bool(changed) or awaits_tasks,
        paths=[wanted.path for wanted in changed],
        diff=diff if module._diff else [],
        invocation={},
    )


if __name__ == "__main__":
    main()

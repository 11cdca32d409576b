# SPDX-License-Identifier: GPL-3.0-or-later
"""How a runner of GitHub reads a log.

Source: actions/runner, ActionCommand.cs and ActionCommandManager.cs.
"""

COMMANDS = frozenset(
    "add-mask add-path debug error group notice save-state set-env set-output stop-commands "
    "warning".split()
)


def read_command(line: str) -> tuple[str, dict[str, str], str] | None:
    """Give the command of a line, its properties and its text; None if there is none."""
    line = line.lstrip()
    head, separator, text = line[2:].partition("::")
    name, _, written = head.partition(" ")
    if not line.startswith("::") or not separator or name not in COMMANDS:
        return _read_old_form(line)
    properties = dict(pair.split("=", 1) for pair in written.split(",") if "=" in pair)
    read = {key: unescape(value, ("\r", "\n", ":", ",")) for key, value in properties.items()}
    return name, read, unescape(text, ("\r", "\n"))


def _read_old_form(line: str) -> tuple[str, dict[str, str], str] | None:
    """Read `##[NAME ...]TEXT`, which counts wherever in a line it stands."""
    _, prefix, rest = line.partition("##[")
    head, bracket, text = rest.partition("]")
    name = head.partition(" ")[0]
    return (name, {}, text) if prefix and bracket and name in COMMANDS else None


def unescape(text: str, characters: tuple[str, ...]) -> str:
    for character in (*characters, "%"):
        text = text.replace(f"%{ord(character):02X}", character)
    return text


def obeyed(log: str) -> list[str]:
    """Name the commands of a log that a runner obeys."""
    found = []
    token = ""
    for line in log.splitlines():
        if token:
            token = "" if line.strip() == f"::{token}::" else token
        elif command := read_command(line):
            found.append(command[0])
            token = command[2] if command[0] == "stop-commands" else ""
    return found

# SPDX-License-Identifier: GPL-3.0-or-later
"""Run another program in the sandbox of a unit: a twin of it in everything but what it runs."""

from pathlib import PurePosixPath
from typing import Any

TWIN = "gnoppix-twin.service"
UNIT = f"/run/systemd/system/{TWIN}"
INPUT, OUTPUT, ERRORS = (f"/run/gnoppix-twin.{part}" for part in ("input", "output", "errors"))
# What the unit waits for or starts is none of the twin's, nor is what becomes of its folders.
APART = ("After=", "BindsTo=", "Requires=")
CHANGES = f"""\
[Service]
Type=oneshot
Restart=no
RuntimeDirectoryPreserve=yes
StandardInput=file:{INPUT}
StandardOutput=file:{OUTPUT}
StandardError=file:{ERRORS}
ExecStart=
"""


def run_in_sandbox(
    host: Any, template: str, instance: str, settings: str, question: str = ""
) -> str:
    """Give what a program prints that runs as an instance of a template, drop-ins and all.

    `template` is the path of the unit's file; `settings` are lines of its section `[Service]` that
    come after all others, with `ExecStart=` among them. The question is its standard input. A
    program that does not end well is an AssertionError, which begins with what it said last.
    """
    parts = [template, *host.find_files(f"{template}.d/*.conf")]
    host.check_output(f"mkdir -p {UNIT}.d")
    try:
        for number, path in enumerate(parts):
            text = host.file(path).content_string.replace("%i", instance)
            lines = [line for line in text.splitlines() if not line.startswith(APART)]
            place = UNIT if number == 0 else f"{UNIT}.d/{number:02}-{PurePosixPath(path).name}"
            write(host, place, "\n".join((*lines, "")))
        write(host, f"{UNIT}.d/99-twin.conf", CHANGES + settings)
        write(host, INPUT, question)
        host.check_output("systemctl daemon-reload")
        started = host.run(f"systemctl start {TWIN}")
        assert started.rc == 0, host.run(
            f"tail -n 2 {ERRORS}; systemctl show -p Result,ExecMainStatus {TWIN}"
        ).stdout
        printed: str = host.file(OUTPUT).content_string
        return printed
    finally:
        host.run(f"rm -rf {UNIT} {UNIT}.d {INPUT} {OUTPUT} {ERRORS}")
        host.run("systemctl daemon-reload")


def write(host: Any, path: str, text: str) -> None:
    """Write a file that everybody may read."""
    host.check_output("printf %%s %s > %s && chmod 0644 %s", text, path, path)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of its own: run a playbook through ansible-runner and report it line by line.

ansible-runner takes over signals and writes down the environment that it finds, so it lives in a
process that has nothing to lose. Each line on standard output is a JSON object: {"task": ...},
{"change": ...}, {"failure": ...} or, last, {"status": ..., "ok": ..., "changed": ..., "lost": ...},
where the numbers are by host and `lost` are the hosts that did not come to the end.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import ansible_runner

IDENT = "apply"
FAILURES = frozenset({"runner_on_failed", "runner_on_unreachable", "runner_item_on_failed"})
NO_TASK = ("playbook", "")


class Narrator:
    """Turn the runner's events into lines for the parent and text for the log."""

    def __init__(self, project: Path, talk: IO[str], log: IO[str]) -> None:
        self._project = project
        self._talk = talk
        self._log = log
        self._failed_tasks: set[tuple[str, str]] = set()
        self._diffs: list[str] = []

    def tell(self, **line: object) -> None:
        """Send a line to the parent."""
        self._talk.write(json.dumps(line) + "\n")
        self._talk.flush()

    def hear(self, event: Mapping[str, Any]) -> bool:
        """Take an event; the answer is whether the runner keeps its file."""
        if event.get("stdout"):
            self._log.write(event["stdout"].replace("\r\n", "\n") + "\n")
            self._log.flush()
        about = event.get("event_data", {})
        if event["event"] == "playbook_on_task_start":
            self.tell(task=about["task"])
        elif event["event"] == "runner_on_ok" and about.get("res", {}).get("changed"):
            self.tell(change=about["task"], host=about["host"], diff=self._take_diff())
        elif event["event"] == "runner_on_file_diff":
            self._diffs.append(event["stdout"].replace("\r\n", "\n"))
        elif event["event"] in FAILURES and not about.get("ignore_errors"):
            self._tell_failure(about)
        return True

    def _take_diff(self) -> str:
        """Give what was printed of differences since the last task: it comes before the result."""
        diff = "\n".join(each.strip("\n") for each in self._diffs)
        self._diffs.clear()
        return diff

    def _tell_failure(self, about: Mapping[str, Any]) -> None:
        # A failed item is followed by its task, which says less.
        failed = (about["host"], about["task_uuid"])
        if failed in self._failed_tasks:
            return
        self._failed_tasks.add(failed)
        result = about.get("res", {})
        message = result.get("msg") or result.get("stderr") or "it gives no reason"
        place = about.get("task_path", "").removeprefix(f"{self._project}{os.sep}")
        self.tell(failure=str(message), host=about["host"], task=about["task"], place=place)


def run_playbook(
    run_dir: Path, playbook: str, log: Path, talk: IO[str], options: Mapping[str, Any]
) -> None:
    """Run one playbook of a private data directory and report how it ended.

    `options` are further arguments of the runner: tags, cmdline.
    """
    with log.open("a", encoding="utf-8") as text:
        narrator = Narrator(run_dir / "project", talk, text)
        ended = ansible_runner.run(
            private_data_dir=str(run_dir),
            project_dir=str(run_dir / "project"),
            playbook=playbook,
            inventory=str(run_dir / "inventory" / "hosts.yml"),
            ident=IDENT,
            rotate_artifacts=0,
            quiet=True,
            suppress_env_files=True,
            settings={"pexpect_use_poll": True},
            event_handler=narrator.hear,
            **options,
        )
    statistics = ended.stats or {}
    narrator.tell(
        status=ended.status,
        ok=statistics.get("ok", {}),
        changed=statistics.get("changed", {}),
        lost=sorted({*statistics.get("failures", {}), *statistics.get("dark", {})}),
    )


def main() -> None:
    """Read RUN_DIR PLAYBOOK LOG OPTIONS, the last as JSON, and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("playbook")
    parser.add_argument("log", type=Path)
    parser.add_argument("options", type=json.loads)
    arguments = parser.parse_args()
    # Whatever else is printed must not end up between the lines of the report.
    talk = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    run_playbook(arguments.run_dir, arguments.playbook, arguments.log, talk, arguments.options)


if __name__ == "__main__":
    main()

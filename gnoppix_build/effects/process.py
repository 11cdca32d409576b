# SPDX-License-Identifier: GPL-3.0-or-later
"""External commands: lists of arguments, a clean environment, a full log, and no orphans."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gnoppix_build.effects import enter_root
from gnoppix_build.effects.faults import CommandFault, EnvironmentFault

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CLEAN_ENVIRONMENT = {
    "PATH": SEARCH_PATH,
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}
PACKAGE_OF_TOOL = {
    "apt-get": "apt",
    "mount": "mount",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "umount": "mount",
    "unshare": "util-linux",
}


def run(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | None = None,
) -> None:
    """Run a command to its end; its line and all that it says are appended to `log`.

    `env` is added to a fixed environment: nothing of the caller's own leaks in. Raises
    CommandFault when the command fails, EnvironmentFault when it is not installed.
    """
    command = leashed(argv)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        output.write(b"$ " + subprocess.list2cmdline(argv).encode() + b"\n")
        output.flush()
        status = subprocess.run(
            command,
            check=False,
            cwd=cwd,
            env=_environment(env),
            stdout=output,
            stderr=subprocess.STDOUT,
            umask=0o022,
            input=stdin or b"",
        ).returncode
    if status != 0:
        raise CommandFault(_own_command(argv), status, log)


def capture(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
) -> bytes:
    """Run a command and give its standard output; a failure carries what it said as the hint."""
    result = subprocess.run(
        leashed(argv),
        check=False,
        env=_environment(env),
        capture_output=True,
        umask=0o022,
        input=stdin or b"",
    )
    if result.returncode != 0:
        said = result.stderr.decode(errors="replace").strip()
        raise CommandFault(argv, result.returncode, Path(os.devnull), hint=said or None)
    return result.stdout


def isolated(
    argv: Sequence[str],
    *,
    root: Path | None,
    bindings: Mapping[str, Path] | None = None,
    tmpfs: Sequence[str] = (),
    with_host_devices: bool = False,
) -> tuple[str, ...]:
    """Give the command that runs `argv` in namespaces of its own, inside `root` if there is one.

    It sees no network interface, no process but its own, the host name `localhost`, and a
    minimal /dev, or the host's. `bindings` maps a name to what appears as /mnt/NAME; `tmpfs`
    lists folders that are empty and forgotten afterwards.
    """
    places = [f"--bind={name}={source}" for name, source in sorted((bindings or {}).items())]
    places += [f"--tmpfs={folder}" for folder in tmpfs]
    return (
        "unshare",
        *("--fork", "--kill-child=KILL", "--pid", "--net", "--uts", "--ipc"),
        *("--mount", "--propagation=private", "--"),
        *(sys.executable, "-I", enter_root.__file__),
        *([f"--root={root}"] if root is not None else []),
        *places,
        *(["--host-devices"] if with_host_devices else []),
        "--",
        *argv,
    )


def place_of_binding(name: str) -> str:
    """Say where a binding appears inside the root."""
    return f"/{enter_root.MEETING_POINT}/{name}"


def require_tool(name: str) -> None:
    """Raise EnvironmentFault, with the package to install, when a command is not on the host."""
    if shutil.which(name, path=SEARCH_PATH) is None:
        package = PACKAGE_OF_TOOL.get(name, name)
        raise EnvironmentFault(
            f"`{name}` is not installed on this host", hint=f"apt-get install {package}"
        )


def _own_command(argv: Sequence[str]) -> Sequence[str]:
    """Give the command without what isolates it: that is not what failed, and says little."""
    if enter_root.__file__ not in argv:
        return argv
    return argv[argv.index("--", argv.index(enter_root.__file__)) + 1 :]


def leashed(argv: Sequence[str], *, sees_all_processes: bool = False) -> tuple[str, ...]:
    """Tie a command to us: it dies when we do, and as root all that it started dies too.

    For that it has a PID namespace of its own, unless it has to see those that are here: systemd
    answers nobody whose process it cannot tell.
    """
    for tool in (argv[0], "setpriv", "unshare"):
        require_tool(tool)
    leash = ("setpriv", "--pdeathsig", "KILL", "--")
    if os.geteuid() != 0 or sees_all_processes:
        return (*leash, *argv)
    own_processes = ("--fork", "--kill-child=KILL", "--pid", "--mount-proc")
    return (*leash, "unshare", *own_processes, "--", *argv)


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    return {**CLEAN_ENVIRONMENT, **(extra or {})}

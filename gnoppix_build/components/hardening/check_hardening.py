# SPDX-License-Identifier: GPL-3.0-or-later
"""What `hardening` promises of a system."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from gnoppix_build.checks.kernel_files import program_for_module, settings_in_files
from gnoppix_build.resolve.sysctl import setting_name

NOTHING = "/bin/false"
TOOL = "kernel-hardening-checker"
EXCEPTIONS = Path(__file__).with_name("exceptions.yaml")
RUNTIME = ("cmdline", "sysctl")
WRITABLE = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - folders of the target
UNPRIVILEGED = "setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all"

# Each is run by the target; they say `refused` or what they could do.
LOOK_INTO_CHILD = """
import ctypes, os, signal, sys, time
child = os.fork()
if child == 0:
    time.sleep(30)
    os._exit(0)
libc = ctypes.CDLL(None, use_errno=True)
print("attached" if libc.ptrace(16, child, 0, 0) == 0 else "refused")
os.kill(child, signal.SIGKILL)
"""
CRASH = """
import os, resource, signal
try:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
except (OSError, ValueError):
    pass
child = os.fork()
if child == 0:
    os.chdir("/run/gnoppix-crash")
    os.kill(os.getpid(), signal.SIGSEGV)
print("dumped" if os.listdir("/run/gnoppix-crash") else "refused")
"""
MAKE_NAMESPACE = """
import ctypes
CLONE_NEWUSER = 0x10000000
print("made" if ctypes.CDLL(None).unshare(CLONE_NEWUSER) == 0 else "refused")
"""


def component_of(profile: Any) -> Any:
    """Give this component as the profile resolved it."""
    return next(each for each in profile.components if each.folder == EXCEPTIONS.parent)


def declared_sysctl(profile: Any) -> dict[str, str]:
    """Give every kernel setting of the profile: key with dots -> value."""
    return {
        key.removeprefix("-").replace("/", "."): value
        for component in profile.components
        for each in component.contributions
        for key, value in each.sysctl.items()
        if "*" not in key
    }


def read_sysctl(host: Any) -> dict[str, str]:
    """Read every kernel setting of the target."""
    lines = host.run("sysctl -a 2>/dev/null").stdout.splitlines()
    pairs = (line.partition("=") for line in lines)
    return {key.strip(): " ".join(value.split()) for key, _, value in pairs}


def modules_known_to_kernel(host: Any) -> set[str]:
    """Read the names of the modules that the target could load, as the kernel writes them."""
    listing = host.check_output("cat /lib/modules/$(uname -r)/modules.dep").splitlines()
    return {kernel_name(line.partition(":")[0].rpartition("/")[2]) for line in listing}


def kernel_name(written: str) -> str:
    """Write a module's name, or that of its file, as the kernel does."""
    return written.partition(".ko")[0].replace("-", "_")


def flags_of(host: Any, folder: str) -> set[str]:
    """Read with which options the file system at a folder is mounted."""
    listing = json.loads(host.check_output("findmnt --json --target %s", folder))
    *_, topmost = listing["filesystems"]
    assert topmost["target"] == folder, f"`{folder}` has no mount of its own"
    return set(topmost["options"].split(","))


def judge_kernel(host: Any, folder: Path) -> dict[str, bool]:
    """Let the tool judge the target's command line and settings: check -> whether it is met."""
    files = {
        "config": host.check_output("cat /boot/config-$(uname -r)"),
        "cmdline": host.check_output("cat /proc/cmdline"),
        "sysctl": host.run("sysctl -a 2>/dev/null").stdout,
    }
    for name, text in files.items():
        (folder / name).write_text(text + "\n" if name == "config" else text)
    arguments = [f"--{name}={folder / name}" for name in files]
    done = subprocess.run([TOOL, "--mode=json", *arguments], check=True, capture_output=True)  # noqa: S603
    return {
        each["option_name"]: each["check_result_bool"]
        for each in json.loads(done.stdout)
        if each["type"] in RUNTIME
    }


def holding_exceptions(component: Any) -> dict[str, bool]:
    """Give the exceptions that hold: check -> whether an option besides `level` asks for it."""
    return {
        check: bool(each.get("when", {}).keys() - {"level"})
        for each in yaml.safe_load(EXCEPTIONS.read_text())["exceptions"]
        if component.holds(each.get("when", {}))
        for check in each["checks"]
    }


@pytest.mark.static
def test_files_tell_the_kernel_what_is_declared(host: Any, profile: Any) -> None:
    """Every kernel setting of the profile is in a file, and no file read later undoes it."""
    found = settings_in_files(host)
    wrong = {
        key: f"{found.get(setting_name(key))}, not {value}"
        for component in profile.components
        for each in component.contributions
        for key, value in each.sysctl.items()
        if found.get(setting_name(key)) != " ".join(value.split())
    }
    assert wrong == {}


@pytest.mark.static
def test_files_block_the_modules_that_are_declared(host: Any, profile: Any) -> None:
    """Whoever asks for a blocked module gets a program that does nothing, whatever comes first."""
    wrong = {
        module: program_for_module(host, module)
        for component in profile.components
        for each in component.contributions
        for module in each.blocked_modules
        if program_for_module(host, module) != NOTHING
    }
    assert wrong == {}


@pytest.mark.running
def test_kernel_settings_hold(host: Any, profile: Any) -> None:
    """Every kernel setting of the profile has its value: none was set again by another file."""
    found = read_sysctl(host)
    wrong = {
        key: f"{found.get(key)}, not {value}"
        for key, value in declared_sysctl(profile).items()
        if found.get(key) != value
    }
    assert wrong == {}


@pytest.mark.running
def test_kernel_was_started_as_declared(host: Any, profile: Any) -> None:
    """The kernel got every argument that the profile's components declare."""
    given = host.check_output("cat /proc/cmdline").split()
    wanted = {
        argument
        for component in profile.components
        for each in component.contributions
        for argument in each.kernel_arguments
    }
    assert wanted - {*given} == set()


@pytest.mark.running
def test_blocked_modules_do_not_load(host: Any, profile: Any) -> None:
    """A blocked module is not there, and cannot be loaded even by root."""
    component = component_of(profile)
    blocked = {
        kernel_name(name) for each in component.contributions for name in each.blocked_modules
    }
    known = blocked & modules_known_to_kernel(host)
    assert known, "the kernel knows none of the modules: nothing is shown"
    host.run("modprobe --all " + " ".join(sorted(known)))
    lines = host.check_output("cat /proc/modules").splitlines()
    assert blocked & {line.split()[0] for line in lines} == set()


@pytest.mark.running
def test_a_crash_leaves_no_core(host: Any) -> None:
    """A program that crashes leaves no picture of its memory, even if it asks for one."""
    host.check_output("mkdir -p /run/gnoppix-crash")
    said = host.check_output("python3 -c %s", CRASH)
    host.check_output("rm -r /run/gnoppix-crash")
    assert said == "refused"


@pytest.mark.running
def test_nothing_runs_from_where_everybody_writes(host: Any) -> None:
    """A program that lies in /tmp, /var/tmp or /dev/shm is not run, and has no privileges."""
    for folder in WRITABLE:
        assert {"nodev", "noexec", "nosuid"} <= flags_of(host, folder), folder
        program = f"{folder}/gnoppix-program"
        host.check_output(f"cp /usr/bin/true {program}")
        said = host.run(program)
        host.check_output(f"rm {program}")
        assert said.rc == 126, f"`{program}` was run: it ended with {said.rc}"


@pytest.mark.running
def test_home_is_mounted_as_asked(host: Any, options: Mapping[str, object]) -> None:
    """No device and no set-uid program works in a home; nothing runs there if so asked."""
    flags = flags_of(host, "/home")
    assert {"nodev", "nosuid"} <= flags
    assert ("noexec" in flags) == options["noexec-home"]


@pytest.mark.running
def test_no_program_looks_into_another(host: Any, options: Mapping[str, object]) -> None:
    """Nobody without privileges attaches to a process; at `hardened` root does not either."""
    assert host.check_output(f"{UNPRIVILEGED} python3 -c %s", LOOK_INTO_CHILD) == "refused"
    if options["level"] == "hardened" and not options["debuggers"]:
        assert host.check_output("python3 -c %s", LOOK_INTO_CHILD) == "refused"
    else:
        assert host.check_output("python3 -c %s", LOOK_INTO_CHILD) == "attached"


@pytest.mark.running
def test_users_see_the_processes_that_they_may(host: Any, options: Mapping[str, object]) -> None:
    """A user sees the processes of others only where the profile leaves them visible."""
    sees = host.run(f"{UNPRIVILEGED} test -e /proc/1/comm").rc == 0
    assert sees != options["hide-processes"]


@pytest.mark.running
def test_user_namespaces_are_as_asked(host: Any, options: Mapping[str, object]) -> None:
    """A user without privileges makes a user namespace only where the profile leaves it."""
    is_closed = options["level"] == "hardened" and not options["user-namespaces"]
    said = host.check_output(f"{UNPRIVILEGED} python3 -c %s", MAKE_NAMESPACE)
    assert said == ("refused" if is_closed else "made")


@pytest.mark.running
def test_kernel_passes_the_checker(
    host: Any, profile: Any, options: Mapping[str, str], tmp_path: Path
) -> None:
    """kernel-hardening-checker finds nothing but the exceptions that are declared."""
    if shutil.which(TOOL) is None:
        pytest.skip(f"`{TOOL}` is not installed on the verifying host")
    verdicts = judge_kernel(host, tmp_path)
    exceptions = holding_exceptions(component_of(profile))
    unmet = {check for check, is_met in verdicts.items() if not is_met}
    assert sorted(unmet - {*exceptions}) == [], "neither met nor an exception"
    given_up = sum(exceptions[check] for check in unmet)
    least = yaml.safe_load(EXCEPTIONS.read_text())["least"][options["level"]]
    assert len(verdicts) - len(unmet) + given_up >= least, f"{len(unmet)} of {len(verdicts)} unmet"

# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of a running machine, and what else reads new files; Python's own library only."""

import glob
import os
import subprocess

UNIT_FOLDERS = ("/etc/systemd/system/", "/usr/lib/systemd/system/")
ENABLED = frozenset(
    ("alias", "enabled", "enabled-runtime", "generated", "indirect", "linked", "static")
)
MASKED = frozenset(("masked", "masked-runtime"))
RUNNING = frozenset(("active", "activating", "refreshing", "reloading"))
PROPERTIES = (
    *("ActiveState", "BusName", "ConditionResult", "ConditionTimestampMonotonic"),
    *("ExecMainStartTimestampMonotonic", "RemainAfterExit", "RequiredBy", "TriggeredBy"),
    *("Type", "WantedBy"),
)
APPARMOR_FOLDER = "/etc/apparmor.d/"
APPARMOR = "/sys/kernel/security/apparmor/profiles"
BOOT_LOADER_FOLDER = "/etc/default/grub.d/"
WRITE_BOOT_MENU = "/usr/sbin/update-grub"
JOURNAL_FOLDER = "/etc/systemd/journald.conf.d/"
ZRAM_CONFIGURATION = "/etc/systemd/zram-generator.conf"
ZRAM_SWAPS = "/run/systemd/generator/dev-zram*.swap"
# What an initrd has of a system's settings. Source: initramfs-tools(7), the hooks in it and beside.
INITRD_READS = (
    "/etc/console-setup/",
    "/etc/crypttab",
    "/etc/default/console-setup",
    "/etc/default/keyboard",
    "/etc/fstab",
    "/etc/initramfs-tools/",
    "/etc/live/",
    "/etc/modprobe.d/",
    "/etc/modules",
    "/etc/modules-load.d/",
    "/etc/systemd/network/99-default.link",
    "/etc/udev/",
    "/usr/share/initramfs-tools/",
)
WRITE_INITRD = "/usr/sbin/update-initramfs"
ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


class Refused(Exception):
    """A command of the machine ended with an error."""


def run(*argv, good=(0,), stdin=None):
    """Run a command to its end; gives its standard output."""
    done = subprocess.run(  # noqa: S603 - a list of arguments, never a shell's line
        argv, input=stdin, capture_output=True, check=False, env=ENVIRONMENT
    )
    if done.returncode not in good:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise Refused(f"{' '.join(argv)}: status {done.returncode}: {said[-2000:]}")
    return done.stdout.decode(errors="replace")


def enabled_state(unit):
    """Give what `systemctl is-enabled` says: `not-found` for a unit that is not there."""
    done = subprocess.run(  # noqa: S603
        ("/usr/bin/systemctl", "is-enabled", "--", unit),
        capture_output=True,
        check=False,
        env=ENVIRONMENT,
    )
    return done.stdout.decode().strip() or "not-found"


def states_of(names):
    """Give unit -> its properties now and, as `enabled`, its state at a start of the machine.

    A template has no properties: only its instances run. Source: org.freedesktop.systemd1(5).
    """
    states = {name: {"enabled": enabled_state(name)} for name in names}
    asked = [name for name in states if "@." not in name]
    if asked:
        said = run("systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", *asked)
        blocks = said.strip().split("\n\n")
        for name, block in zip(asked, blocks, strict=True):
            states[name].update(line.split("=", 1) for line in block.splitlines() if "=" in line)
    return states


def active_targets():
    """Name the targets that the machine has reached."""
    form = ("--type=target", "--state=active", "--plain", "--no-legend", "--full")
    return {line.split()[0] for line in run("systemctl", "list-units", *form).splitlines()}


def find_lacks(wanted, states):
    """Give unit -> how it is, for each that is not as it is wanted.

    `wanted` maps a unit to what is wanted of it, `states` is of `states_of`.
    """
    targets = active_targets()
    found = {}
    for unit, change in wanted.items():
        state = states[unit]
        if not is_as_wanted(change, state["enabled"]):
            found[unit] = state["enabled"]
        elif is_idle(state, targets) if change == "enable" else is_running_though_off(state):
            found[unit] = f"{state['enabled']}, {state['ActiveState']}"
    return found


def is_idle(state, targets):
    """Tell whether an enabled unit should run, for one of these targets wants it, and does not.

    Nothing is known of one that another unit starts, whose condition is not met, or that has done
    what it does once.
    """
    words = {*state.get("WantedBy", "").split(), *state.get("RequiredBy", "").split()}
    if state.get("ActiveState") in RUNNING or not words & targets:
        return False
    if state["ActiveState"] == "failed":
        return True
    is_unmet = (
        state.get("ConditionTimestampMonotonic", "0") != "0" and state["ConditionResult"] == "no"
    )
    is_done = (
        state.get("Type") == "oneshot"
        and state.get("RemainAfterExit") == "no"
        and state.get("ExecMainStartTimestampMonotonic", "0") != "0"
    )
    return not (is_unmet or is_done or state.get("TriggeredBy"))


def is_running_though_off(state):
    """Tell whether a unit that is masked or disabled runs, and nothing else may have started it."""
    if state.get("ActiveState") not in RUNNING:
        return False
    starters = ("BusName", "RequiredBy", "TriggeredBy", "WantedBy")
    return state["enabled"] in MASKED or not any(state.get(key) for key in starters)


def is_as_wanted(wanted, state):
    """Tell whether a unit in this state needs nothing done. Source: systemctl(1), is-enabled."""
    if wanted == "mask":
        return state in MASKED
    if wanted == "enable":
        return state in ENABLED
    return state not in {"enabled", "enabled-runtime"}


def set_unit(unit, wanted):
    """Bring a unit to what is wanted of it at the next start; systemd is to read it afterwards."""
    state = enabled_state(unit)
    if wanted != "mask" and state in MASKED:
        run("systemctl", "unmask", "--no-reload", "--", unit)
        state = enabled_state(unit)
    if wanted == "disable" and state == "not-found":
        return
    if not is_as_wanted(wanted, state):
        run("systemctl", wanted, "--no-reload", "--", unit)


def stop_unit(unit):
    """End a unit, whether or not it is there. Source: systemctl(1), 5 for one not loaded."""
    run("systemctl", "stop", "--", unit, good=(0, 5))


def release_unit(unit, entry):
    """Give a unit back the state that it had before anything was wanted of it."""
    was_enabled = entry["before"] in ENABLED
    if entry["wanted"] == "enable" and not was_enabled:
        stop_unit(unit)
        run("systemctl", "disable", "--", unit, good=(0, 1))
    if entry["wanted"] == "mask" and entry["before"] not in MASKED:
        run("systemctl", "unmask", "--", unit)
    if entry["wanted"] != "enable" and entry["before"] == "enabled":
        run("systemctl", "enable", "--", unit)


def units_of(paths):
    """Name the units whose own file is among the paths; instances of a template by a pattern."""
    names = []
    for path in paths:
        folder, name = os.path.split(path)
        if f"{folder}/" in UNIT_FOLDERS:
            names.append(name.replace("@.", "@*."))
    return names


def forget_files(paths):
    """Take what the kernel and systemd run of files that are about to go."""
    for unit in units_of(paths):
        stop_unit(unit)
    loaded = [path for path in paths if path.startswith(APPARMOR_FOLDER)]
    if loaded and os.path.exists(APPARMOR):
        for path in loaded:
            run("apparmor_parser", "--remove", path, good=(0, 1, 254))


def read_files(paths):
    """Let the system read files that are new, but for units: profiles come before what they hold.

    Source: apparmor_parser(8), systemd-sysctl.service(8), tmpfiles.d(5), udevadm(8),
    journald.conf(5).
    """
    there = [path for path in paths if os.path.exists(path)]
    profiles = [path for path in there if os.path.dirname(path) == APPARMOR_FOLDER.rstrip("/")]
    if profiles and os.path.exists(APPARMOR):
        run("apparmor_parser", "--replace", "--write-cache", *profiles)
    if any(path.startswith("/etc/sysctl.d/") for path in paths):
        run("systemctl", "restart", "systemd-sysctl.service")
    if any(path.startswith("/etc/udev/rules.d/") for path in paths) and glob.glob(
        "/run/udev/control"
    ):
        run("udevadm", "control", "--reload")
    folders = [path for path in there if path.startswith("/etc/tmpfiles.d/")]
    if folders:
        # Source: systemd-tmpfiles(8), "Exit status": 65 and 73 for lines that could not be kept.
        run("systemd-tmpfiles", "--create", *folders, good=(0, 65, 73))
    if any(path.startswith(JOURNAL_FOLDER) for path in paths):
        run("systemctl", "try-restart", "systemd-journald.service")
    if any(path.startswith(ZRAM_CONFIGURATION) for path in paths):
        _make_zram_anew()
    run("systemctl", "daemon-reload")


def _make_zram_anew():
    """Have the devices that the generator's files say; what is in those before goes to memory.

    A device ends with its swap unit. In a container there is none. Source: zram-generator(8).
    """
    if before := _zram_swaps():
        run("systemctl", "stop", "--", *before)
    run("systemctl", "daemon-reload")
    if after := _zram_swaps():
        run("systemctl", "start", "--", *after)


def _zram_swaps():
    return sorted(os.path.basename(path) for path in glob.glob(ZRAM_SWAPS))


def write_initrds(paths):
    """Put files among the paths that initrds have into those of all kernels.

    As with the boot loader: a container has no kernel of its own.
    """
    if not any(path.startswith(INITRD_READS) for path in paths):
        return
    if os.path.exists(WRITE_INITRD) and not is_container():
        run(WRITE_INITRD, "-u", "-k", "all")


def write_boot_menu(paths):
    """Let the boot loader read its files among the paths; tells whether the next start will.

    A container is started by its host, whatever boot loader is installed in it.
    """
    if not any(path.startswith(BOOT_LOADER_FOLDER) for path in paths):
        return False
    if not os.path.exists(WRITE_BOOT_MENU) or is_container():
        return False
    run(WRITE_BOOT_MENU)
    return True


def is_container():
    """Tell whether the machine is a container. Source: systemd-detect-virt(1), 1 for `none`."""
    said = run("systemd-detect-virt", "--container", good=(0, 1))
    return said.strip() != "none"


def start_enabled(names, good=(0,)):
    """Start what is enabled as at a start of the machine: in one transaction, by what wants it.

    A target that is active already pulls in what it wants, but not what that wants in turn: so
    each unit that it wants is asked for by its name as well; `good` are the ends of that.
    """
    wanted = {name: _wanting_targets(name) for name in names}
    active = {target for targets in wanted.values() for target in targets if is_active(target)}
    run("systemctl", "start", "--", "default.target", *sorted(active))
    if due := [name for name in names if active & {*wanted[name]}]:
        run("systemctl", "start", "--", *due, good=good)


def _wanting_targets(unit):
    said = run("systemctl", "show", "--property=WantedBy,RequiredBy", "--value", "--", unit)
    return [word for word in said.split() if word.endswith(".target")]


def is_active(unit):
    """Tell whether a unit is active."""
    state = run("systemctl", "show", "--property=ActiveState", "--value", "--", unit)
    return state.strip() == "active"


def failed_among(units):
    """Give the units that failed, each with the end of what it said."""
    failed = []
    for unit in units:
        state = run("systemctl", "show", "--property=ActiveState", "--value", "--", unit)
        if state.strip() == "failed":
            said = run("journalctl", "--unit", unit, "--lines=5", "--output=cat", good=(0, 1))
            failed.append(f"{unit}: {said.strip()}")
    return failed

# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides who gets into a machine: changed by itself, and back unless somebody came through.

The connection that asks for a change may not survive it. So the change is made by a program that
the machine keeps for as long as it takes, and a timer, which a restart does not stop, undoes it.
This file is that program as well: `python3 FOLDER switch` and `python3 FOLDER go-back`.
Python's own library only. Source: systemd.timer(5), nft(8), flock(2).

The change, its return and its confirmation each hold one lock, so that none sees half of another.
While BEFORE is there, the change is neither confirmed nor undone; ENDED says `why` it is undone.
"""

import contextlib
import fcntl
import inspect
import json
import os
import shutil
import sys
import time

from ansible.module_utils import gnoppix_files, gnoppix_record, gnoppix_units
from ansible.module_utils.gnoppix_files import Wanted, bring_back, remember, replace, write_whole
from ansible.module_utils.gnoppix_record import Record
from ansible.module_utils.gnoppix_units import Refused, run

FOLDER = f"{gnoppix_record.FOLDER}/gate"
BEFORE = f"{FOLDER}/before.json"
SWITCH = f"{FOLDER}/switch.json"
ENDED = f"{FOLDER}/ended.json"
LOCK = "/run/gnoppix-gate.lock"
UNITS = "/etc/systemd/system"
TIMER = "gnoppix-go-back.timer"
SERVICE = "gnoppix-go-back.service"
SWITCHING = "gnoppix-switch"
PROGRAM = f"/usr/bin/python3 -E -s {FOLDER}"
TIMER_TEXT = """\
[Unit]
Description=The machine's gate goes back, for nobody has come through it

[Timer]
OnActiveSec={seconds}
AccuracySec=1

[Install]
WantedBy=timers.target
"""
SERVICE_TEXT = """\
[Unit]
Description=Return of the machine's gate to what it was

[Service]
Type=exec
ExecStart={program} go-back
"""
LONGEST_SWITCH_S = 120
"""How long a change may take; the machine goes back if it takes longer."""
LONGEST_STOP_S = 5
SESSIONS = "inet gnoppix-sessions"
SESSIONS_TEXT = """\
table {table} {{
	chain output {{
		type filter hook output priority raw
		tcp sport {port} notrack
	}}
	chain input {{
		type filter hook input priority filter
		ct state new,established accept
	}}
}}
"""
IFF_UP = 1
ESTABLISHED = "01"


def is_pending():
    """Tell whether a change is neither confirmed nor undone."""
    return os.path.exists(BEFORE)


def is_going_back():
    """Tell whether the return of a change has begun, and not come to its end."""
    return is_pending() and bool(_why_undone())


def arm(switch, seconds, session_port):
    """Keep what there is, start the timer that brings it back, and have the change made.

    The `seconds` count from the end of the change. Sessions at `session_port` (0 for none) go on
    behind rules that admit them.
    """
    with _locked():
        if is_pending():
            raise Refused("another run's change of the gate is neither confirmed nor undone")
        _arm(switch, seconds, session_port)
    run(
        *("systemd-run", "--quiet", "--collect", f"--unit={SWITCHING}", "--on-active=1"),
        *("--timer-property=AccuracySec=100ms", f"--property=TimeoutStopSec={LONGEST_STOP_S}"),
        *("--", *PROGRAM.split(" "), "switch"),
    )


def switch_now():
    """Make the change; one that fails is undone at once, one that is undone already is not made."""
    with _locked():
        if not is_pending() or is_going_back():
            return
        switch = _read(SWITCH)
        try:
            _change(switch)
            _set_timer(switch["seconds"])
        except (OSError, ValueError, Refused) as error:
            _undo(str(error))
        else:
            _write(ENDED, {"why": ""})


def go_back(why):
    """Undo the change: files, units, tables and links are what they were.

    A change that is still being made has had its time, and is ended.
    """
    for kind in ("timer", "service"):
        _try(run, "systemctl", "stop", f"{SWITCHING}.{kind}", good=(0, 5))
    with _locked():
        if is_pending():
            _undo(_why_undone() or why)
        else:
            _disarm()


def await_end():
    """Wait until the change is made, or undone because it could not be; then it is refused."""
    deadline = time.monotonic() + LONGEST_SWITCH_S
    while not os.path.exists(ENDED):
        if time.monotonic() > deadline:
            raise Refused("the change of the gate does not end; it is going back")
        time.sleep(0.2)
    _refuse_undone()


def confirm():
    """Keep the change: somebody came through. Refused if it is undone."""
    await_end()
    with _locked():
        _refuse_undone()
        _disarm()
        record = Record.load()
        settled = {*record.unsettled_of("gate"), *_read(SWITCH)["gone_files"]}
        record.unsettled = [path for path in record.unsettled if path not in settled]
        record.save()
        shutil.rmtree(FOLDER)


def await_session(port, seconds):
    """Wait for a connection to a port that was not there before; refused if none comes."""
    known = sessions_at(port)
    deadline = time.monotonic() + seconds
    while not sessions_at(port) - known:
        if time.monotonic() > deadline:
            raise Refused(f"nobody opened a new session at port {port}: the gate goes back")
        time.sleep(0.5)


def sessions_at(port):
    """Give the far ends of the connections to a port. Source: proc_pid_net(5)."""
    found = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/net/{name}") as stream:
            for line in list(stream)[1:]:
                _, near, far, state, *_ = line.split()
                if state == ESTABLISHED and int(near.rpartition(":")[2], 16) == port:
                    found.add(far)
    return found


@contextlib.contextmanager
def _locked():
    """Hold the lock, which goes with whoever holds it."""
    with open(os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600), "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _why_undone():
    return _read(ENDED)["why"] if os.path.exists(ENDED) else ""


def _refuse_undone():
    if why := _why_undone():
        raise Refused(f"the gate went back to what it was: {why}")
    if not is_pending():
        raise Refused("the gate is what it was: no change of it awaits its confirmation")


def _arm(switch, seconds, session_port):
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER, mode=0o700)
    _install_program()
    _write(SWITCH, {**switch, "seconds": seconds})
    paths = [*(entry["path"] for entry in switch["files"]), *switch["gone_files"]]
    names = [*(unit["unit"] for unit in switch["units"]), *switch["gone_units"]]
    tables = _tables()
    before = {
        "record": remember(gnoppix_record.PATH),
        "files": {path: remember(path) for path in paths},
        "units": {name: _state_of(name) for name in names},
        "tables": sorted(tables),
        "links": _links_up(),
    }
    service = SERVICE_TEXT.format(program=PROGRAM).encode()
    write_whole(f"{UNITS}/{SERVICE}", service, 0o644)
    _set_timer(LONGEST_SWITCH_S + seconds)
    # Last: what is pending goes back by itself.
    _write(BEFORE, before)
    if session_port and _has_nft() and not any("ct " in text for text in tables.values()):
        _know_sessions(session_port)


def _set_timer(seconds):
    """Have the timer count anew, now and after each start of the machine."""
    write_whole(f"{UNITS}/{TIMER}", TIMER_TEXT.format(seconds=seconds).encode(), 0o644)
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", TIMER)
    run("systemctl", "restart", TIMER)


def _undo(why):
    """Go back; whatever ends it on its way, it can be done again until BEFORE is gone."""
    _write(ENDED, {"why": why})
    before = _read(BEFORE)
    units = before["units"]
    for name, state in units.items():
        _try(_take_out, name, state)
    for path, remembered in before["files"].items():
        _try(bring_back, path, remembered)
    _try(bring_back, gnoppix_record.PATH, before["record"])
    _try(run, "systemctl", "daemon-reload")
    for name, state in units.items():
        _try(_restore, name, state)
    _try(run, "systemctl", "daemon-reload")
    for name in (name for name, state in units.items() if state["is_active"]):
        _try(run, "systemctl", "reload-or-restart", "--", name)
    _try(_delete_tables_beside, before["tables"])
    for link in before["links"]:
        _try(run, "ip", "link", "set", "dev", link, "up")
    os.unlink(BEFORE)
    _disarm()


def _install_program():
    package = f"{FOLDER}/ansible/module_utils"
    os.makedirs(package, mode=0o700)
    for folder in (f"{FOLDER}/ansible", package):
        write_whole(f"{folder}/__init__.py", b"", 0o600)
    own = sys.modules[__name__]
    for module in (gnoppix_files, gnoppix_record, gnoppix_units, own):
        name = "gnoppix_gate" if module is own else module.__name__.rpartition(".")[2]
        write_whole(f"{package}/{name}.py", inspect.getsource(module).encode(), 0o600)
    start = b"from ansible.module_utils.gnoppix_gate import main\n\nmain()\n"
    write_whole(f"{FOLDER}/__main__.py", start, 0o600)


def _know_sessions(port):
    """Have connections tracked before the first rule that asks for their direction.

    A connection's direction is that of the first packet that is tracked, and this must not be an
    answer: rules for answers would cut the session whose last word was the machine's. What is known
    stays known without the table. Source: the kernel's net/netfilter/nf_conntrack_proto.c.
    """
    text = SESSIONS_TEXT.format(table=SESSIONS, port=port)
    path = f"{FOLDER}/sessions.nft"
    write_whole(path, text.encode(), 0o600)
    run("nft", "-f", path)


def _change(switch):
    if SESSIONS in _tables():
        run("nft", "delete", "table", *SESSIONS.split(" "))
    record = Record.load()
    files = [Wanted(entry) for entry in switch["files"]]
    for wanted in files:
        record.take_file(wanted.path, wanted.component, "gate")
    record.save()
    folders = [folder for wanted in files for folder in replace(wanted)]
    record.folders = sorted({*record.folders, *folders})
    gone = switch["gone_files"]
    for name in switch["gone_units"]:
        _release(name, record.units.pop(name))
    gnoppix_units.forget_files(gone)
    for path in gone:
        record.give_back_file(path)
    gnoppix_units.read_files([*(wanted.path for wanted in files), *gone])
    _change_units(switch["units"], switch["stirred"])
    record.save()


def _change_units(wanted, stirred):
    for unit in wanted:
        gnoppix_units.set_unit(unit["unit"], unit["wanted"])
    run("systemctl", "daemon-reload")
    for unit in wanted:
        if unit["wanted"] != "enable":
            gnoppix_units.stop_unit(unit["unit"])
    enabled = [unit for unit in wanted if unit["wanted"] == "enable"]
    for unit in enabled:
        if unit["component"] in stirred and gnoppix_units.is_active(unit["unit"]):
            run("systemctl", "reload-or-restart", "--", unit["unit"])
    # What waits for them is started by whoever comes through: none of it is to hold up the gate.
    if names := [unit["unit"] for unit in enabled]:
        run("systemctl", "start", "--", *names)
    if failed := gnoppix_units.failed_among(names):
        raise Refused("; ".join(failed))


def _try(action, *arguments, **options):
    """Do a part of the way back; one that fails keeps none of the others from being done."""
    with contextlib.suppress(OSError, ValueError, Refused):
        action(*arguments, **options)


def _take_out(name, state):
    if not state["is_active"]:
        gnoppix_units.stop_unit(name)
    if state["enabled"] == "not-found":
        # While its file is there, which says where it is linked from.
        run("systemctl", "disable", "--", name, good=(0, 1))


def _release(name, entry):
    """Give a unit back; a table that it changes when it stops was its own, and goes."""
    tables = _tables()
    gnoppix_units.release_unit(name, entry)
    for table, text in _tables().items():
        if tables.get(table) != text:
            run("nft", "delete", "table", *table.split(" "), good=(0, 1))


def _restore(name, state):
    if gnoppix_units.enabled_state(name) != state["enabled"]:
        if state["enabled"] in gnoppix_units.MASKED:
            gnoppix_units.set_unit(name, "mask")
        elif state["enabled"] == "enabled":
            gnoppix_units.set_unit(name, "enable")
        elif state["enabled"] != "not-found":
            gnoppix_units.set_unit(name, "disable")


def _state_of(name):
    enabled = gnoppix_units.enabled_state(name)
    return {"enabled": enabled, "is_active": gnoppix_units.is_active(name)}


def _delete_tables_beside(names):
    for table in _tables().keys() - {*names}:
        _try(run, "nft", "delete", "table", *table.split(" "))


def _tables():
    """Give the tables of nftables: family and name -> text without counters."""
    if not _has_nft():
        return {}
    names = [line.partition(" ")[2] for line in run("nft", "list", "tables").splitlines()]
    return {name: run("nft", "-s", "list", "table", *name.split(" ")) for name in names}


def _has_nft():
    return os.path.exists("/usr/sbin/nft")


def _links_up():
    names = []
    for name in sorted(os.listdir("/sys/class/net")):
        with contextlib.suppress(OSError), open(f"/sys/class/net/{name}/flags") as flags:
            if int(flags.read(), 16) & IFF_UP:
                names.append(name)
    return names


def _disarm():
    """Take the timer away, and its service, in which this may run.

    A service whose file is gone has the usual time for its start, if that is all it has.
    """
    run("systemctl", "disable", "--now", TIMER, good=(0, 1))
    for name in (SERVICE, TIMER):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{UNITS}/{name}")
    run("systemctl", "daemon-reload")


def _read(path):
    with open(path, "rb") as stream:
        return json.load(stream)


def _write(path, value):
    write_whole(path, json.dumps(value).encode(), 0o600)


def main():
    """Do what the one argument says."""
    if sys.argv[1:] == ["switch"]:
        switch_now()
    elif sys.argv[1:] == ["go-back"]:
        go_back("nobody came through in time")
    else:
        raise SystemExit(f"{sys.argv[1:]}: `switch` or `go-back` is wanted")

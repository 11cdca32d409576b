# SPDX-License-Identifier: GPL-3.0-or-later
"""A profile on a machine that runs already: one machine, from its stock state on, test by test."""

import base64
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import machine_lab
import pytest
from machine_lab import (
    ARCHIVE_PORT,
    HOST,
    MACHINE,
    OPERATOR,
    MachineLab,
    expect_success,
    running_lab,
)

pytestmark = [pytest.mark.root, pytest.mark.timeout(1800)]

PROFILE = f"""\
version: 1
name: box
components:
  apt-mirror: {{ports: [{ARCHIVE_PORT}]}}
  firewall: {{}}
  own-network: {{dhcp: off}}
  remote-access: {{sources: [10.77.0.0/24]}}
  telemetry-off: {{}}
  tor: {{mode: socks}}
"""
REPLACED = "/etc/apt/preferences.d/50-gnoppix-telemetry-off.pref"
CANARY = "canary-in-a-file"
TORRC = "/etc/tor/gnoppix.torrc"
# A container here has no AppArmor, and no tree of control groups in which a unit's processes are.
NOT_IN_A_CONTAINER = {
    "test_bridges_have_their_program",
    "test_tor_has_no_privilege",
    "test_tor_is_confined_by_apparmor",
}
# What changes by itself, or by somebody's coming in.
TREE = """\
import hashlib, json, os
found = {}
left_out = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/log", "/var/tmp", "/var/lib/tor",
    "/var/lib/systemd", "/var/lib/lastlog", "/var/cache")
for folder, folders, files in os.walk("/"):
    kept = (each for each in folders if each != "__pycache__")
    folders[:] = sorted(each for each in kept if os.path.join(folder, each) not in left_out)
    for name in (*folders, *files):
        path = os.path.join(folder, name)
        status = os.lstat(path)
        content = b""
        if os.path.islink(path):
            content = os.readlink(path).encode()
        elif os.path.isfile(path):
            content = open(path, "rb").read()
        owner = f"{status.st_mode:o} {status.st_uid} {status.st_gid}"
        found[path] = f"{owner} {hashlib.sha256(content).hexdigest()}"
print(json.dumps(found))
"""
GATE = """\
kind: network
summary: A firewall with a mistake in it
provides: [packet-filter]
packages: [nftables]
units: {{enable: [{name}.service]}}
"""
SHUT_UNIT = """\
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft add table inet shut
ExecStart=/usr/sbin/nft add chain inet shut in { type filter hook input priority -1; policy drop; }
[Install]
WantedBy=multi-user.target
"""
UNDO_AFTER_S = 10
BROKEN_UNIT = f"""\
[Service]
Type=oneshot
ExecStart=/usr/bin/sleep {UNDO_AFTER_S + 4}
ExecStart=/usr/sbin/nft add rule inet nonesuch in accept
[Install]
WantedBy=multi-user.target
"""


IDLE = """\
kind: system
summary: Three units that do nothing
units: {disable: [murmur.service], enable: [idle.service], mask: [chatter.service]}
"""
# It waits for the gate, and the others are the machine's own.
IDLE_UNIT = """\
[Unit]
Requires=gnoppix-firewall.service
After=gnoppix-firewall.service
[Service]
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""
IDLE_MARK = "/run/idle-was-told"
IDLE_TASKS = f"""\
---
- name: Tell idle
  ansible.builtin.command:
    argv: [touch, {IDLE_MARK}]
  when: apply_component_written.awaits_tasks
  changed_when: true
"""
# What a run leaves that is interrupted before it has settled the machine.
INTERRUPT = """\
import json
with open("/var/lib/gnoppix/machine.json", "r+") as stream:
    record = json.load(stream)
    record["unsettled"].append("/etc/systemd/system/idle.service")
    stream.seek(0)
    json.dump(record, stream)
    stream.truncate()
"""
OWN_UNIT = "[Service]\nExecStart=/usr/bin/sleep infinity\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineLab]:
    work = tmp_path_factory.mktemp("machine")
    with running_lab(work, ("apparmor", "nftables", "tor")) as lab:
        lab.put(REPLACED, f"# {CANARY}\n", "0600")
        yield lab


@pytest.fixture(scope="module")
def promise(lab: MachineLab) -> str:
    """Give what a run on the stock machine would change; the machine stays as it was."""
    before = tree_of(lab), states_of(lab)
    output = expect_success(lab.provision(lab.write_profile(PROFILE), "--check", "--diff"))
    assert (tree_of(lab), states_of(lab)) == before
    return output


def tree_of(lab: MachineLab) -> dict[str, str]:
    """Give path -> mode, owners and hash of all that does not change by itself."""
    found: dict[str, str] = json.loads(lab.machine.run("python3", "-B", "-c", TREE))
    return found


def states_of(lab: MachineLab) -> dict[str, str]:
    """Give unit -> whether it runs, but for those of somebody's session."""
    kinds = "--type=service,socket,target,timer"
    said = lab.machine.run("systemctl", "list-units", "--all", kinds, "--output=json")
    units = {each["unit"]: each["active"] for each in json.loads(said)}
    return {name: state for name, state in units.items() if not name.startswith(("run-", "user"))}


def failures(lab: MachineLab, profile: Path) -> dict[str, str]:
    """Verify the machine; give check -> evidence of what failed that a container can show."""
    found = machine_lab.failures(lab, profile)
    return {check: found[check] for check in found.keys() - NOT_IN_A_CONTAINER}


def test_profile_that_shuts_its_operator_out_is_refused(lab: MachineLab) -> None:
    before = tree_of(lab)
    other_port = PROFILE.replace("{sources: [10.77.0.0/24]}", "{port: 2222}")
    said = lab.provision(lab.write_profile(other_port))
    assert said.status == 3
    assert "box.yaml:7:25: error[way-in-closed]: `box` does not admit port `22`, by which " in (
        said.talk
    )
    assert "= hint: let `port` of `remote-access` have `22`" in said.talk
    said = lab.provision(lab.write_profile(PROFILE.replace("10.77.0.0/24", "192.0.2.0/24")))
    assert said.status == 3
    assert f"= hint: let `sources` of `remote-access` have `{OPERATOR}`" in said.talk
    without = PROFILE.replace("  remote-access: {sources: [10.77.0.0/24]}\n", "")
    said = lab.provision(lab.write_profile(without))
    assert said.status == 3
    assert "= hint: add `remote-access: {port: 22}` under `components:`" in said.talk
    assert tree_of(lab) == before


def test_machine_of_another_suite_is_refused(lab: MachineLab) -> None:
    names = lab.machine.run("cat", "/etc/os-release")
    lab.put("/etc/os-release", names.replace("=trixie", "=bookworm"))
    said = lab.provision(lab.write_profile(PROFILE))
    lab.put("/etc/os-release", names)
    assert said.status == 5
    assert "the machine has the suite `bookworm`, the profile is for `trixie`" in said.talk


def named_in(output: str) -> tuple[set[str], set[str]]:
    """Give the paths and the other things, units above all, whose differences are shown."""
    shown = set(re.findall(r"^\+\+\+ after: (\S+)", output, re.MULTILINE))
    paths = {name for name in shown if name.startswith("/")}
    return paths, shown - paths


def test_check_says_what_would_change_and_changes_nothing(promise: str) -> None:
    assert f"+++ after: {TORRC}" in promise
    assert "+tor\n" in promise
    assert "+++ after: /etc/gnoppix/firewall.nft" in promise
    assert "bytes that others may not read" in promise
    assert "would change something" in promise


def test_machine_gets_the_profile_and_a_second_run_changes_nothing(
    lab: MachineLab, promise: str
) -> None:
    profile = lab.write_profile(PROFILE)
    promised, promised_units = named_in(promise)
    changed, changed_units = named_in(expect_success(lab.provision(profile, "--diff")))
    assert changed == promised
    # A package may enable its unit itself, as the profile wants it: the run has less to do.
    assert changed_units <= promised_units
    assert "gnoppix-firewall.service" in changed_units
    ruleset = lab.machine.run("nft", "list", "table", "inet", "gnoppix")
    assert "ip saddr 10.77.0.0/24 tcp dport 22 accept" in ruleset
    assert lab.ssh("true").returncode == 0
    # Its package did not start it: the one start is with the profile's own settings.
    starts = lab.machine.run("journalctl", "--boot", "--output=cat")
    assert starts.count("Starting tor@default.service") == 1
    assert not lab.exists("/usr/sbin/policy-rc.d")
    assert not lab.exists("/var/lib/gnoppix/gate")
    before = tree_of(lab), states_of(lab)
    assert expect_success(lab.provision(profile)) == f"{MACHINE}: nothing to change\n"
    assert (tree_of(lab), states_of(lab)) == before


def test_verify_runs_the_checks_and_finds_no_drift(lab: MachineLab) -> None:
    assert failures(lab, lab.write_profile(PROFILE)) == {}


def test_host_that_is_left_out_is_neither_visited_nor_judged(lab: MachineLab) -> None:
    """Nobody is at the other address, and by its port nobody would get in again."""
    other = ("--host", f"ssh://root@{OPERATOR}:2222")
    said = lab.provision(lab.write_profile(PROFILE), *other, "--limit", MACHINE)
    assert expect_success(said) == (
        f"{MACHINE}: nothing to change\n{OPERATOR}: left out by --limit\n"
    )
    said = lab.provision(lab.write_profile(PROFILE), *other)
    assert said.status == 6
    assert f"error[unreachable]: `{OPERATOR}` cannot be reached: " in said.talk


def test_drift_is_told_with_its_component_and_healed(lab: MachineLab) -> None:
    profile = lab.write_profile(PROFILE)
    lab.put(TORRC, "SOCKSPort 9999\n")
    lab.machine.run("systemctl", "unmask", "ssh.socket")
    lab.machine.run("chmod", "0600", "/etc/gnoppix/egress.nft")
    said = lab.run("verify", profile, "--host", HOST, *lab.ssh_options, "--format", "json")
    assert said.status == 1
    drift = {
        each["check"]: (each["component"], each["evidence"])
        for each in json.loads(said.output)["findings"]
        if each["check"].startswith("no_drift[")
    }
    assert drift == {
        f"no_drift[{TORRC}]": ("tor", "other bytes"),
        "no_drift[/etc/gnoppix/egress.nft]": ("firewall", "mode `0600`, not `0644`"),
        "no_drift[ssh.socket]": ("remote-access", "it is `disabled`, not masked"),
    }
    expect_success(lab.provision(profile))
    assert failures(lab, profile) == {}


@pytest.fixture(scope="module")
def idle(lab: MachineLab) -> Path:
    """Give the folder of a component that is to have one unit run, and two of the machine not."""
    folder = lab.work / "units" / "idle"
    unit = folder / "files/etc/systemd/system/idle.service"
    unit.parent.mkdir(parents=True)
    (folder / "component.yaml").write_text(IDLE)
    unit.write_text(IDLE_UNIT)
    journal = folder / "files/etc/systemd/journald.conf.d/60-idle.conf"
    journal.parent.mkdir()
    journal.write_text("[Journal]\nForwardToWall=no\n")
    (folder / "tasks").mkdir()
    (folder / "tasks" / "main.yml").write_text(IDLE_TASKS)
    # Not of what the component brings.
    (folder / ".env").write_text("canary-in-a-component")
    for name in ("chatter", "murmur"):
        lab.put(f"/usr/lib/systemd/system/{name}.service", OWN_UNIT)
    lab.machine.run("systemctl", "daemon-reload")
    lab.machine.run("systemctl", "start", "chatter.service", "murmur.service")
    return folder.parent


def states_of_three(lab: MachineLab) -> list[str]:
    names = ("chatter.service", "idle.service", "murmur.service")
    return lab.machine.try_run("systemctl", "is-active", *names).stdout.split()


def test_units_that_were_stopped_or_run_still_are_told_and_healed(
    lab: MachineLab, idle: Path
) -> None:
    """Their files and what becomes of them at a start are as they should be."""
    own = ("--components", idle)
    profile = lab.write_profile(f"{PROFILE}  idle: {{}}\n")
    of_the_journal = ("systemctl", "show", "--property=MainPID", "systemd-journald.service")
    before_its_settings = lab.machine.run(*of_the_journal)
    expect_success(lab.provision(profile, *own))
    assert lab.machine.run(*of_the_journal) != before_its_settings
    assert states_of_three(lab) == ["inactive", "active", "inactive"]
    lab.machine.run("systemctl", "stop", "idle.service")
    lab.machine.run("systemctl", "unmask", "--quiet", "chatter.service")
    lab.machine.run("systemctl", "start", "chatter.service", "murmur.service")
    lab.machine.run("systemctl", "mask", "--quiet", "chatter.service")
    before = tree_of(lab), states_of(lab)
    promised = expect_success(lab.provision(profile, *own, "--check", "--diff"))
    assert (tree_of(lab), states_of(lab)) == before
    assert named_in(promised) == (set(), {"chatter.service", "idle.service", "murmur.service"})
    said = lab.run("verify", profile, "--host", HOST, *lab.ssh_options, *own, "--format", "json")
    assert said.status == 1
    assert [
        (each["check"], each["evidence"])
        for each in json.loads(said.output)["findings"]
        if each["check"].startswith("no_drift[")
    ] == [
        ("no_drift[murmur.service]", "it is off, and still `active`"),
        ("no_drift[chatter.service]", "it is off, and still `active`"),
        ("no_drift[idle.service]", "it is enabled, but `inactive`"),
    ]
    lab.machine.run("rm", IDLE_MARK)
    assert named_in(expect_success(lab.provision(profile, *own, "--diff"))) == named_in(promised)
    assert states_of_three(lab) == ["inactive", "active", "inactive"]
    assert expect_success(lab.provision(profile, *own)) == f"{MACHINE}: nothing to change\n"
    assert not lab.exists(IDLE_MARK)


def test_tasks_of_a_component_are_run_after_an_interruption(lab: MachineLab, idle: Path) -> None:
    """The file is as it shall be, and an earlier run did not come to its tasks; nor does one of
    another component only.
    """
    own = ("--components", idle)
    profile = lab.write_profile(f"{PROFILE}  idle: {{}}\n")
    expect_success(lab.provision(profile, *own))
    lab.machine.run("rm", "--force", IDLE_MARK)
    lab.machine.run("python3", "-c", INTERRUPT)
    expect_success(lab.provision(profile, *own, "--only", "telemetry-off"))
    assert not lab.exists(IDLE_MARK)
    expect_success(lab.provision(profile, *own))
    assert lab.exists(IDLE_MARK)
    assert expect_success(lab.provision(profile, *own)) == f"{MACHINE}: nothing to change\n"
    expect_success(lab.provision(lab.write_profile(PROFILE)))


@pytest.fixture(scope="module")
def gates(lab: MachineLab) -> Path:
    """Give the folder of two components: `shut` shuts everybody out, `broken` cannot start."""
    for name, text in (("shut", SHUT_UNIT), ("broken", BROKEN_UNIT)):
        folder = lab.work / "own" / name
        unit = folder / f"files/etc/systemd/system/{name}.service"
        unit.parent.mkdir(parents=True)
        (folder / "component.yaml").write_text(GATE.format(name=name))
        unit.write_text(text)
    return lab.work / "own"


def expect_return(lab: MachineLab) -> None:
    """Wait until the machine is open again by itself, and see that nothing of the change is left.

    Only why it went back is kept, for the next run to say.
    """
    deadline = time.monotonic() + 60
    while lab.ssh("true").returncode != 0:
        assert time.monotonic() < deadline
    assert lab.machine.run("nft", "list", "tables") == "table inet gnoppix\n"
    lab.machine.run("rm", "-r", "/var/lib/gnoppix/gate")
    record = json.loads(lab.machine.run("cat", "/var/lib/gnoppix/machine.json"))
    assert "/etc/systemd/system/shut.service" not in record["files"]


def test_gate_goes_back_when_nobody_gets_through(lab: MachineLab, gates: Path) -> None:
    before = tree_of(lab)
    profile = lab.write_profile(f"{PROFILE}  shut: {{}}\n")
    said = lab.provision(profile, "--components", gates, "--undo-after", "15")
    assert said.status == 5
    told = ("nothing gets through the new gate", "it was: nobody came through in time")
    assert any(each in said.talk for each in told), said.talk
    expect_return(lab)
    expect_success(lab.provision(lab.write_profile(PROFILE)))
    assert tree_of(lab) == before


def test_gate_goes_back_when_the_machine_restarts_before_anybody_got_through(
    lab: MachineLab, gates: Path
) -> None:
    """The command is gone, and the machine has lost its power: only its own timer can help."""
    before = tree_of(lab)
    profile = lab.write_profile(f"{PROFILE}  shut: {{}}\n")
    options = ("--components", gates, "--undo-after", "30")
    command = lab.command("provision", profile, "--host", HOST, *lab.ssh_options, *options)
    with subprocess.Popen(
        command, env=lab.environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as run:
        while not lab.exists("/var/lib/gnoppix/gate/ended.json"):
            assert run.poll() is None
            time.sleep(0.2)
        os.kill(run.pid, signal.SIGKILL)
    assert lab.ssh("true").returncode != 0
    assert lab.exists("/var/lib/gnoppix/gate/before.json")
    lab.machine.restart()
    assert "shut" in lab.machine.run("journalctl", "--boot", "--output=cat", "--unit=shut.service")
    expect_return(lab)
    expect_success(lab.provision(lab.write_profile(PROFILE)))
    assert tree_of(lab) == before


def test_gate_goes_back_when_its_change_does_not_succeed(lab: MachineLab, gates: Path) -> None:
    """It takes longer than anybody has to get through: that time begins with its end."""
    before = tree_of(lab)
    profile = lab.write_profile(f"{PROFILE}  broken: {{}}\n")
    undo_after = ("--undo-after", str(UNDO_AFTER_S))
    said = lab.provision(profile, "--components", gates, *undo_after)
    assert said.status == 5
    assert "the gate went back to what it was: systemctl start -- " in said.talk
    assert "broken.service" in said.talk
    expect_return(lab)
    expect_success(lab.provision(lab.write_profile(PROFILE)))
    assert tree_of(lab) == before


def kill_when(lab: MachineLab, profile: Path, is_reached: Callable[[str], bool]) -> None:
    """Begin to provision, and kill the command where what it has said or done shows it to be."""
    command = lab.command("provision", profile, "--host", HOST, *lab.ssh_options)
    said = lab.work / "talk"
    with (
        said.open("w") as talk,
        subprocess.Popen(
            command, env=lab.environment, stderr=talk, stdout=subprocess.DEVNULL
        ) as run,
    ):
        while not is_reached(said.read_text()):
            assert run.poll() is None, said.read_text()
            time.sleep(0.05)
        os.kill(run.pid, signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL


def test_interrupted_run_can_be_run_again(lab: MachineLab) -> None:
    """It is killed while packages come, between file and unit, while units are set, at the gate."""
    changed = PROFILE.replace("mode: socks", "mode: socks, socks-port: 9150")
    profile = lab.write_profile(changed.replace("10.77.0.0/24", "10.77.0.0/25"))
    lab.machine.run("dpkg", "--purge", "--force-depends", "nftables")
    kill_when(lab, profile, lambda _: lab.exists("/usr/sbin/policy-rc.d"))
    new_port = ("grep", "--quiet", "SocksPort 127.0.0.1:9150", TORRC)
    kill_when(lab, profile, lambda _: lab.machine.try_run(*new_port).returncode == 0)
    assert ":9150" not in lab.machine.run("ss", "-ltn")
    kill_when(lab, profile, lambda talk: "Settle a machine" in talk)
    kill_when(lab, profile, lambda _: lab.exists("/var/lib/gnoppix/gate/before.json"))
    expect_success(lab.provision(profile))
    assert ":9150" in lab.machine.run("ss", "-ltn")
    ruleset = lab.machine.run("nft", "list", "table", "inet", "gnoppix")
    assert "ip saddr 10.77.0.0/25 tcp dport 22 accept" in ruleset
    assert not lab.exists("/usr/sbin/policy-rc.d")
    assert not lab.exists("/var/lib/gnoppix/gate")
    assert expect_success(lab.provision(profile)) == f"{MACHINE}: nothing to change\n"
    assert failures(lab, profile) == {}


def test_rendered_tree_serves_an_inventory_of_ones_own(lab: MachineLab, idle: Path) -> None:
    changed = PROFILE.replace("mode: socks", "mode: socks, socks-port: 9150")
    profile = lab.write_profile(f"{changed.replace('/24', '/25')}  idle: {{}}\n")
    tree, own = lab.work / "rendered", ("--components", idle)
    expect_success(lab.run("render", profile, "--target", "machine", *own, "-o", tree))
    said = lab.play(tree, "--tags", "telemetry-off")
    assert "Write the files of telemetry-off" in said
    assert "Write the files of tor" not in said
    assert "changed=0" in said


def test_component_takes_away_what_it_brought(lab: MachineLab) -> None:
    gone = ("  tor: {mode: socks}\n", "  telemetry-off: {}\n")
    profile = lab.write_profile(PROFILE.replace(gone[0], "").replace(gone[1], ""))
    output = expect_success(lab.provision(profile, "--diff"))
    assert f"{TORRC} (tor is not in the profile)" in output
    assert not lab.exists(TORRC)
    assert not lab.exists("/etc/systemd/system/tor@default.service.d/50-gnoppix-sandbox.conf")
    assert lab.machine.run("cat", REPLACED) == f"# {CANARY}\n"
    state = lab.machine.try_run("systemctl", "is-active", "tor@default.service").stdout
    assert state.strip() != "active"
    assert lab.machine.run("dpkg-query", "--show", "--showformat=${Status}", "tor").endswith(
        "installed"
    )
    assert failures(lab, profile) == {}


def test_firewall_goes_too_and_leaves_the_machine_open(lab: MachineLab) -> None:
    profile = lab.write_profile("version: 1\nname: box\ncomponents:\n  telemetry-off: {}\n")
    expect_success(lab.provision(profile))
    assert lab.machine.run("nft", "list", "tables") == ""
    assert lab.ssh("true").returncode == 0
    record = json.loads(lab.machine.run("cat", "/var/lib/gnoppix/machine.json"))
    assert {entry["component"] for entry in record["files"].values()} == {"telemetry-off"}


def test_no_secret_is_in_a_log_or_an_artefact(lab: MachineLab) -> None:
    kept = [path for path in (lab.work / "cache").rglob("*") if path.is_file()]
    kept += [path for path in (lab.work / "rendered").rglob("*") if path.is_file()]
    assert any(path.name == "provision.log" for path in kept)
    assert any(path.name == "command" for path in kept)
    assert any(path.name == "idle.service" for path in kept)
    replaced = base64.b64encode(f"# {CANARY}\n".encode())
    key = (lab.work / "key").read_bytes().splitlines()[1]
    # Each is where it belongs.
    assert replaced.decode() in lab.machine.run("cat", "/var/lib/gnoppix/machine.json")
    secrets = (b"canary", replaced, key)
    leaks = [path for path in kept if any(each in path.read_bytes() for each in secrets)]
    assert leaks == []
    journal = lab.machine.run("journalctl", "--output=cat").encode()
    assert not [each for each in secrets if each in journal]

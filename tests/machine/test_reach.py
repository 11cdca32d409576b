# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to a machine: as a user with sudo, at another port, several at once, from itself."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine_lab import (
    ARCHIVE_PORT,
    HOST,
    MACHINE,
    OPERATOR,
    SECOND_PORT,
    TOOL,
    MachineLab,
    expect_success,
    running_lab,
    second_machine,
)

from gnoppix_build.effects.process import CLEAN_ENVIRONMENT

pytestmark = [pytest.mark.root, pytest.mark.timeout(1200)]

USER = f"ssh://operator@{MACHINE}:{SECOND_PORT}"
SECOND = "10.77.0.3"
TWO_HOSTS = ("--host", f"ssh://root@{SECOND}")
SHUT = f"""\
  apt-mirror: {{ports: [{ARCHIVE_PORT}]}}
  firewall: {{}}
  own-network: {{dhcp: off}}
  remote-access: {{port: PORT, sources: [10.77.0.0/24]}}
"""
OPEN = "version: 1\nname: box\ncomponents:\n  first: {words: WORDS}\n  second: {words: WORDS}\n"
COMPONENT = """\
kind: system
summary: A file with words in it
options:
  words: {{type: text, default: hello, doc: What it says., example: hi}}
units: {{enable: [{name}.service]}}
"""
UNIT = "[Service]\nExecStart=/usr/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
MAKE_OPERATOR = """
set -e
useradd --create-home --gid operator --shell /bin/sh operator
install -d -o operator -m 0700 /home/operator/.ssh
install -o operator -m 0600 /root/.ssh/authorized_keys /home/operator/.ssh/
echo "127.0.1.1 $(hostname)" >> /etc/hosts
echo 'operator ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/operator
printf 'Port 22\\nPort %s\\n' "$1" > /etc/ssh/sshd_config.d/10-ports.conf
systemctl restart ssh.service
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineLab]:
    work = tmp_path_factory.mktemp("reach")
    for name in ("first", "second"):
        folder = work / "own" / name / "files" / "etc"
        unit = folder / "systemd" / "system" / f"{name}.service"
        unit.parent.mkdir(parents=True)
        unit.write_text(UNIT)
        (folder / f"{name}.conf.j2").write_text("{{ header }}\n{{ options.words }}\n")
        (work / "own" / name / "component.yaml").write_text(COMPONENT.format(name=name))
    with running_lab(work, ("nftables",), has_tool=True) as lab:
        lab.machine.run("sh", "-c", MAKE_OPERATOR, "sh", str(SECOND_PORT))
        yield lab


def profile_of(lab: MachineLab, words: str, port: int | None = None) -> Path:
    """Write a profile of two files; with a port, of a firewall that admits it, too."""
    text = OPEN.replace("WORDS", words)
    return lab.write_profile(text if port is None else text + SHUT.replace("PORT", str(port)))


def own(lab: MachineLab) -> tuple[str | Path, ...]:
    return ("--components", lab.work / "own")


def words_of(lab: MachineLab) -> tuple[str, ...]:
    files = ("/etc/first.conf", "/etc/second.conf")
    return tuple(lab.machine.run("tail", "--lines=1", each).strip() for each in files)


def units_of(lab: MachineLab) -> list[str]:
    names = ("first.service", "second.service")
    return lab.machine.try_run("systemctl", "is-active", *names).stdout.split()


def test_only_brings_one_component_to_a_stock_machine(lab: MachineLab) -> None:
    profile = profile_of(lab, "good morning")
    for _ in range(2):
        output = expect_success(lab.provision(profile, *own(lab), "--only", "first"))
        assert units_of(lab) == ["active", "inactive"]
        assert not lab.exists("/etc/second.conf")
    assert output == f"{MACHINE}: nothing to change\n"
    expect_success(lab.provision(profile, *own(lab)))
    assert units_of(lab) == ["active", "active"]


def test_user_with_sudo_comes_by_a_port_of_ones_own(lab: MachineLab) -> None:
    said = lab.provision(profile_of(lab, "good day", 22), *own(lab), host=USER)
    assert said.status == 3
    assert f"does not admit port `{SECOND_PORT}`, by which this session came" in said.talk
    profile = profile_of(lab, "good day", SECOND_PORT)
    expect_success(lab.provision(profile, *own(lab), host=USER))
    assert words_of(lab) == ("good day", "good day")
    ruleset = lab.machine.run("nft", "list", "table", "inet", "gnoppix")
    assert f"ip saddr 10.77.0.0/24 tcp dport {SECOND_PORT} accept" in ruleset
    assert lab.ssh("id", "--user", "--name", host=USER).stdout == b"operator\n"
    assert lab.ssh("true").returncode != 0
    again = lab.provision(profile, *own(lab), host=USER)
    assert expect_success(again) == f"{MACHINE}: nothing to change\n"


def test_only_brings_the_files_of_one_component(lab: MachineLab) -> None:
    profile = profile_of(lab, "good night", SECOND_PORT)
    output = expect_success(lab.provision(profile, *own(lab), "--only", "first", host=USER))
    assert words_of(lab) == ("good night", "good day")
    assert "Write the files of first" in output
    assert "of second" not in output
    expect_success(lab.provision(profile, *own(lab), host=USER))
    assert words_of(lab) == ("good night", "good night")


def test_several_hosts_are_judged_and_changed_at_once(lab: MachineLab) -> None:
    """The second one has its own files and the operator's other way in."""
    with second_machine(lab, SECOND) as second:
        shut = lab.provision(
            profile_of(lab, "hello", SECOND_PORT), *own(lab), *TWO_HOSTS, host=USER
        )
        assert shut.status == 3
        assert "does not admit port `22`, by which this session came" in shut.talk
        # Without a firewall nobody is shut out, and the first one's goes.
        profile = profile_of(lab, "hello")
        output = expect_success(lab.provision(profile, *own(lab), *TWO_HOSTS, host=USER))
        assert re.findall(r"^(\S+): \d+ tasks changed something$", output, re.MULTILINE) == [
            MACHINE,
            SECOND,
        ]
        assert lab.machine.run("nft", "list", "tables") == ""
        unchanged = f"{MACHINE}: nothing to change\n{SECOND}: nothing to change\n"
        again = lab.provision(profile, *own(lab), *TWO_HOSTS, host=USER)
        assert expect_success(again) == unchanged
        second.run("rm", "/etc/first.conf")
        lab.put("/etc/first.conf", "mine\n")
        output = expect_success(
            lab.provision(profile, *own(lab), *TWO_HOSTS, "--limit", SECOND, host=USER)
        )
        assert f"{MACHINE}: left out by --limit\n{SECOND}: " in output
        assert f"{MACHINE}: Write" not in output
        assert second.run("tail", "--lines=1", "/etc/first.conf") == "hello\n"
        assert words_of(lab) == ("mine", "hello")


def test_machine_changes_itself_when_a_new_session_comes_in(lab: MachineLab) -> None:
    """Whoever runs the command has come by ssh: only another session shows that one can."""
    command = ("python3", "-B", "-m", "gnoppix_build", "provision", "box.yaml", "--host", "local")
    line = f"cd {TOOL} && {' '.join(command)} --components own"
    for name in ("first", "second"):
        for file in (lab.work / "own" / name).rglob("*"):
            if file.is_file():
                lab.put(f"{TOOL}/own/{file.relative_to(lab.work / 'own')}", file.read_text())
    lab.put(f"{TOOL}/box.yaml", profile_of(lab, "my own", SECOND_PORT).read_text())
    refused = lab.ssh(line, timeout_s=300)
    assert refused.returncode == 3, refused.stderr
    assert f"by which this session came from `{OPERATOR}`" in refused.stderr.decode()
    lab.put(f"{TOOL}/box.yaml", profile_of(lab, "my own", 22).read_text())
    with subprocess.Popen(
        lab.ssh_command(line),
        env=CLEAN_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stderr is not None
        heard = ""
        while "Wait for a new session at port 22: open one now" not in heard:
            said = run.stderr.readline()
            assert said, heard
            heard += said
        assert lab.exists("/var/lib/gnoppix/gate/before.json")
        while run.poll() is None:
            assert lab.ssh("sleep", "2").returncode == 0
        # All of it came by a session from before the new rules.
        output, rest = run.communicate()
    assert run.returncode == 0, output + heard + rest
    assert words_of(lab) == ("my own", "my own")
    assert not lab.exists("/var/lib/gnoppix/gate")
    ruleset = lab.machine.run("nft", "list", "table", "inet", "gnoppix")
    assert "ip saddr 10.77.0.0/24 tcp dport 22 accept" in ruleset
    assert lab.ssh("true", host=HOST).returncode == 0
    again = lab.ssh(line, timeout_s=300)
    assert again.stdout == b"local: nothing to change\n", again.stderr

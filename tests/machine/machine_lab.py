# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine of Debian that runs already, its operator beside it, and an archive over the cable.

The machine is a booted container with a network of its own; the operator and the archive are
processes of this host in another. The host's own network takes no part.
"""

import json
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import PROJECT
from commanded import Commanded
from container import Container
from lab_root import lock_packages, make_lab_root
from net_namespace import Namespace, connect

from gnoppix_build.cli.session import cache_folder
from gnoppix_build.effects import pool
from gnoppix_build.effects.apt_mirrors import host_mirrors
from gnoppix_build.effects.process import CLEAN_ENVIRONMENT

STOCK = (
    *("dbus", "iproute2", "openssh-server", "procps", "python3", "sudo"),
    *("systemd", "systemd-sysv", "udev"),
)
# What the command needs when it runs on the machine itself.
OF_THE_TOOL = (
    *("ansible-core", "python3-ansible-runner", "python3-click", "python3-debian"),
    *("python3-jinja2", "python3-pydantic", "python3-yaml"),
)
TOOL = "/srv/gnoppix-build"
OPERATOR, MACHINE = "10.77.0.1", "10.77.0.2"
ARCHIVE_PORT, SECOND_PORT = 8000, 2222
HOST = f"ssh://root@{MACHINE}"
NO_COPY = shutil.ignore_patterns("__pycache__")
SSH_CONFIGURATION = """\
Host *
    IdentityFile {folder}/key
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    StrictHostKeyChecking yes
"""


@dataclass(frozen=True)
class Said:
    """What a run of the command said, on both its streams."""

    status: int
    output: str
    talk: str


@dataclass(frozen=True)
class MachineLab:
    """The machine, and its operator's place."""

    machine: Commanded
    operator: Namespace
    work: Path

    @property
    def root(self) -> Path:
        """Give what a container has of files that are not as they were at first."""
        return self.work / "machine" / "upper"

    def command(self, *arguments: str | Path) -> tuple[str | Path, ...]:
        """Give the command that runs `build-image` where the operator is."""
        return self.operator.command(sys.executable, "-m", "gnoppix_build", *arguments)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **CLEAN_ENVIRONMENT,
            "GNOPPIX_BUILD_CACHE": str(self.work / "cache"),
            "PYTHONPATH": str(PROJECT),
            "CI_JOB_TOKEN": "canary-in-the-environment",
        }

    def run(self, *arguments: str | Path) -> Said:
        """Run `build-image` where the operator is."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def provision(self, profile: Path, *options: str | Path, host: str = HOST) -> Said:
        """Provision the machine over ssh."""
        return self.run("provision", profile, "--host", host, *self.ssh_options, *options)

    def play(self, tree: Path, *options: str) -> str:
        """Apply a rendered tree by plain ansible-playbook and an inventory of one's own."""
        inventory = self.work / "own.ini"
        inventory.write_text(
            f"[boxes]\nbox ansible_host={MACHINE} ansible_user=root "
            f'ansible_ssh_common_args="-F {self.work}/ssh_config"\n'
        )
        ansible = Path(sys.executable).parent / "ansible-playbook"
        playbook = tree / "project" / "machine.yml"
        said = subprocess.run(
            self.operator.command(ansible, "--inventory", inventory, *options, playbook),
            env={**self.environment, "HOME": str(self.work)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.returncode == 0, said.stdout
        return said.stdout

    @property
    def ssh_options(self) -> tuple[str, ...]:
        return ("--ssh-config", str(self.work / "ssh_config"))

    def ssh_command(self, *words: str, host: str = HOST) -> tuple[str | Path, ...]:
        """Give the command that opens a fresh connection and runs another there."""
        return self.operator.command(*ssh_command(self.work, host, *words))

    def ssh(
        self, *words: str, host: str = HOST, timeout_s: float = 15
    ) -> "subprocess.CompletedProcess[bytes]":
        """Open a fresh connection to a machine and run a command there."""
        return subprocess.run(
            self.ssh_command(*words, host=host),
            env=CLEAN_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=timeout_s,
        )

    def write_profile(self, text: str) -> Path:
        """Write the profile `box`."""
        profile = self.work / "box.yaml"
        profile.write_text(text)
        return profile

    def put(self, path: str, text: str, mode: str = "0644") -> None:
        """Write a file of the machine."""
        script = 'mkdir -p "${1%/*}" && cat > "$1" && chmod "$2" "$1"'
        self.machine.run("sh", "-c", script, "sh", path, mode, stdin=text.encode())

    def exists(self, path: str) -> bool:
        """Tell whether the machine has a file."""
        return self.machine.try_run("test", "-e", path).returncode == 0


def failures(lab: MachineLab, profile: Path) -> dict[str, str]:
    """Verify the machine; give check -> evidence of what failed."""
    said = lab.run("verify", profile, "--host", HOST, *lab.ssh_options, "--format", "json")
    assert said.output, said.talk
    findings = json.loads(said.output)["findings"]
    assert {each["outcome"] for each in findings} >= {"pass"}
    return {each["check"]: each["evidence"] for each in findings if each["outcome"] == "fail"}


def expect_success(said: Said) -> str:
    """Give what a run said that went well."""
    assert said.status == 0, said.output + said.talk
    return said.output


@contextmanager
def running_lab(
    work: Path, packages: Sequence[str], *, has_tool: bool = False
) -> Iterator[MachineLab]:
    """Boot a stock machine; `packages` are what its archive offers besides.

    With the tool, what it needs is on the machine from the first, and it lies in TOOL.
    """
    stock = tuple(sorted({*STOCK, *OF_THE_TOOL})) if has_tool else STOCK
    archive = make_archive(work, packages, stock)
    operator, machine = Namespace(), Namespace()
    with operator, machine:
        connect(operator, "machine0", machine, "lan0")
        machine.run("ip", "address", "add", f"{MACHINE}/24", "dev", "lan0")
        machine.run("ip", "route", "add", "default", "via", OPERATOR)
        serve_archive(operator, archive)
        furnish(work / "machine" / "upper", work, MACHINE)
        if has_tool:
            for folder in ("gnoppix_build", "playbooks", "profiles"):
                place = work / "machine" / "upper" / TOOL[1:] / folder
                shutil.copytree(PROJECT / folder, place, ignore=NO_COPY)
        with Container(make_lab_root(stock), work / "machine", machine) as container:
            lab = MachineLab(container, operator, work)
            wait_for_ssh(lab, HOST)
            yield lab


@contextmanager
def second_machine(lab: MachineLab, address: str) -> Iterator[Container]:
    """Boot another stock machine on a cable of its own, with the same operator."""
    with Namespace() as machine:
        connect(lab.operator, "machine1", machine, "lan0")
        lab.operator.run("ip", "route", "add", address, "dev", "machine1", "src", OPERATOR)
        machine.run("ip", "address", "add", f"{address}/24", "dev", "lan0")
        furnish(lab.work / "second" / "upper", lab.work, address)
        with Container(make_lab_root(STOCK), lab.work / "second", machine) as container:
            wait_for_ssh(lab, f"ssh://root@{address}")
            yield container


def ssh_command(work: Path, host: str, *words: str) -> tuple[str | Path, ...]:
    """Give the command of an operator whose keys lie in `work`."""
    options = ("-F", work / "ssh_config", "-o", "ConnectTimeout=3", "-o", "BatchMode=yes")
    return ("ssh", *options, host, *words)


def make_archive(work: Path, packages: Sequence[str], stock: Sequence[str]) -> Path:
    """Make an archive of what the machine has and of these packages, all of them locked."""
    cache = cache_folder()
    wanted = lock_packages(tuple(sorted({*stock, *packages})), cache).tools.packages
    pool.fetch(wanted, host_mirrors(None), cache / "pool", work / "fetch.log")
    pool.write_repository(wanted, cache / "pool", work / "archive")
    return work / "archive"


def serve_archive(operator: Namespace, archive: Path) -> None:
    """Give the operator an address on the cable, and have the archive served there."""
    operator.run("ip", "address", "add", f"{OPERATOR}/24", "dev", "machine0")
    server = ("-m", "http.server", str(ARCHIVE_PORT), "--bind", OPERATOR)
    operator.start(operator.command(sys.executable, *server, "--directory", archive))


def furnish(root: Path, work: Path, address: str) -> None:
    """Give a machine what it has got since it was installed: an id, keys, sources of packages.

    With the id it has been started before, so that systemd enables nothing by its presets.
    """
    host_key, key = root / "etc/ssh/ssh_host_ed25519_key", work / "key"
    authorized, sources = root / "root/.ssh/authorized_keys", root / "etc/apt/sources.list.d"
    for folder in (host_key.parent, authorized.parent, sources):
        folder.mkdir(parents=True)
    for each in (host_key, key):
        if not each.exists():
            subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", each), check=True)
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
    authorized.write_bytes(key.with_suffix(".pub").read_bytes())
    source = f"deb [trusted=yes] http://{OPERATOR}:{ARCHIVE_PORT}/ ./\n"
    (sources / "archive.list").write_text(source)
    with (work / "known_hosts").open("a") as known:
        for name in (address, f"[{address}]:{SECOND_PORT}"):
            known.write(f"{name} {host_key.with_suffix('.pub').read_text()}")
    (work / "ssh_config").write_text(SSH_CONFIGURATION.format(folder=work))


def wait_for_ssh(lab: MachineLab, host: str) -> None:
    deadline = time.monotonic() + 20
    while lab.ssh("true", host=host).returncode != 0:
        assert time.monotonic() < deadline, lab.ssh("true", host=host).stderr.decode()
        time.sleep(0.2)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A booted Debian container with rendered components, its firewall included, in a client's network.

The kernel of a test machine may have no AppArmor: what it confines is tried in a virtual machine.
"""

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from net_namespace import LEASH, Namespace

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.effects.process import CLEAN_ENVIRONMENT
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.render.configuration import render_configuration
from gnoppix_build.resolve.resolve import resolve

BROUGHT = ("apt-onion", "remote-ai", "tor")
FIREWALL_FILES = ("/etc/gnoppix/", "/etc/systemd/system/gnoppix-firewall.service")
WITHOUT_APPARMOR = "[Service]\nAppArmorProfile=\n"
BOOT_TIMEOUT_S = 60.0
# An ordinary user, who is told apart by groups only.
USER = 1000
TOR_CONTROL = 860
TOR_SOCKS = 872
LLM_REMOTE = 871


@dataclass(frozen=True)
class Container:
    """A booted container; commands run in it as root, or as the user with further groups."""

    leader: int

    def run(
        self, *argv: str, user: int = 0, groups: Sequence[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        as_user = (
            *("setpriv", f"--reuid={user}", f"--regid={user}"),
            *((f"--groups={','.join(map(str, groups))}",) if groups else ("--clear-groups",)),
        )
        entering = ("nsenter", "--all", f"--target={self.leader}", "--")
        return subprocess.run(
            (*entering, *as_user, *argv),
            capture_output=True,
            text=True,
            check=False,
            env=CLEAN_ENVIRONMENT,
        )

    def said(self, *argv: str, user: int = 0, groups: Sequence[int] = ()) -> str:
        """Run a command that has to succeed; give what it said."""
        done = self.run(*argv, user=user, groups=groups)
        assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr or done.stdout}"
        return done.stdout.strip()

    def wait_for_journal(self, unit: str, words: str, timeout_s: float = BOOT_TIMEOUT_S) -> None:
        """Return when a unit has said something."""
        deadline = time.monotonic() + timeout_s
        while words not in (log := self.said("journalctl", "--no-pager", "--unit", unit)):
            assert time.monotonic() < deadline, log
            time.sleep(0.2)


def render_into(
    root: Path, tree: Path, work: Path, components: str, own: Path | None = None
) -> None:
    """Put what tor and the firewall render to, and every declared account, into a tree over `root`.

    `components` is what a profile has under that key; `own` is a folder of components.
    """
    profile = work / "lab.yaml"
    profile.write_text(
        "version: 1\nname: lab\ncomponents:\n  debian-base: {}\n  firewall: {}\n"
        f"  network-identity: {{}}\n{components}"
    )
    folders = [COMPONENTS_FOLDER, *([own] if own else [])]
    reader = SourceFolders([work, PACKAGE_FOLDER, *folders])
    resolution = resolve(profile, load_catalog(folders, reader), reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    for file in render_configuration(resolution.resolved, reader):
        is_wanted = file.path.startswith(FIREWALL_FILES) or file.origin in BROUGHT
        if is_wanted:
            target = tree / file.path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content)
            target.chmod(file.mode)
    policy = compile_policy(resolution.resolved)
    passwd = {
        each.name: f"{each.name}:x:{each.uid}:{each.uid}::/:/bin/false" for each in policy.users
    }
    groups = {each.name: f"{each.name}:x:{each.uid}:" for each in policy.users}
    for name, gid in (("tor-control", TOR_CONTROL), ("tor-socks", TOR_SOCKS)):
        members = ",".join(each.name for each in policy.users if name in each.groups)
        groups[name] = f"{name}:x:{gid}:{members}"
    groups["llm-remote"] = f"llm-remote:x:{LLM_REMOTE}:"
    _add_missing(root, tree, "etc/passwd", passwd)
    _add_missing(root, tree, "etc/group", groups)


def _add_missing(root: Path, tree: Path, path: str, lines: Mapping[str, str]) -> None:
    known = (root / path).read_text()
    names = {line.partition(":")[0] for line in known.splitlines()}
    added = (f"{line}\n" for name, line in lines.items() if name not in names)
    (tree / path).write_text(known + "".join(added))


@contextlib.contextmanager
def booted(
    root: Path,
    work: Path,
    authorities: Sequence[str],
    client: Namespace,
    components: str,
    own: Path | None = None,
) -> Iterator[Container]:
    """Boot a container with these components; `authorities` make tor a client of a network."""
    upper, scratch, tree = (work / name for name in ("upper", "scratch", "tree"))
    for folder in (upper, scratch, tree):
        folder.mkdir()
    render_into(root, upper, work, components, own)
    units = upper / "etc/systemd/system"
    with (upper / "etc/tor/gnoppix-defaults.torrc").open("a") as defaults:
        defaults.writelines(f"{line}\n" for line in authorities)
    (units / "tor@default.service.d/99-lab.conf").write_text(WITHOUT_APPARMOR)
    wants = units / "sysinit.target.wants"
    wants.mkdir()
    (wants / "gnoppix-firewall.service").symlink_to("../gnoppix-firewall.service")
    # The one would ask a person, the other is masked by the firewall's component.
    for unit in ("systemd-firstboot.service", "nftables.service"):
        (units / unit).symlink_to("/dev/null")
    layers = f"lowerdir={root},upperdir={upper},workdir={scratch}"
    subprocess.run(("mount", "-t", "overlay", "overlay", "-o", layers, tree), check=True)
    try:
        with _container(tree, client, work / "console.log") as container:
            yield container
    finally:
        subprocess.run(("umount", tree), check=True)
        shutil.rmtree(scratch)


@contextlib.contextmanager
def _container(tree: Path, client: Namespace, console: Path) -> Iterator[Container]:
    command = (
        *(*LEASH, "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot"),
        *(
            "--console=pipe",
            "--resolv-conf=off",
            "--capability=CAP_NET_ADMIN",
            f"--network-namespace-path={client.path}",
        ),
        f"--directory={tree}",
    )
    with console.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=CLEAN_ENVIRONMENT
        )
    try:
        yield _wait_until_booted(process, console)
    finally:
        # What systemd takes for an order to power off; the second one is nspawn's own end.
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_booted(process: subprocess.Popen[bytes], console: Path) -> Container:
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while time.monotonic() < deadline:
        assert process.poll() is None, console.read_text(errors="replace")
        if leaders := children.read_text().split():
            container = Container(int(leaders[0]))
            state = container.run("systemctl", "is-system-running").stdout.strip()
            if state in {"running", "degraded"}:
                container.said("systemctl", "is-active", "gnoppix-firewall.service")
                return container
        time.sleep(0.2)
    raise AssertionError(console.read_text(errors="replace"))

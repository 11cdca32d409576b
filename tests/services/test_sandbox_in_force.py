# SPDX-License-Identifier: GPL-3.0-or-later
"""A sandbox compiled from a policy, in force: a service without a network reaches no socket."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from container import Container
from net_namespace import Namespace

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, KINDS_FOLDER, load_catalog
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.render.configuration import render_files
from gnoppix_build.resolve.resolve import resolve

pytestmark = pytest.mark.root

PROFILE = "version: 1\nname: sandbox\ncomponents: {debian-base: {}, recluse: {}, speaker: {}}\n"
COMPONENTS = {
    "recluse": """\
kind: system
summary: A service without a network
users: [{name: recluse, uid: 901}]
egress: [{user: recluse, reach: none}]
services: [{unit: recluse.service, user: recluse, exposure: 2.0}]
""",
    "speaker": """\
kind: system
summary: A service that others may ask
users: [{name: speaker, uid: 902}]
sockets: [{path: /run/speaker/socket, user: speaker, open-to: [everyone]}]
services: [{unit: speaker.service, user: speaker, exposure: 3.0, because: a test}]
""",
}
UNITS = {
    # Started when its sandbox is there.
    "recluse": "Type=exec\nExecStart=sleep infinity",
    "speaker": """\
Type=notify
NotifyAccess=all
RuntimeDirectory=speaker
ExecStart=python3 /usr/lib/speak""",
}
IN_FILES, ABSTRACT = "/run/speaker/socket", "\0speaker"
SPEAK = f"""\
import os, pathlib, socket, subprocess, time
os.umask(0)
pathlib.Path({IN_FILES!r}).unlink(missing_ok=True)
open_sockets = [socket.socket(socket.AF_UNIX) for _ in range(2)]
for each, place in zip(open_sockets, ({IN_FILES!r}, {ABSTRACT!r})):
    each.bind(place)
    each.listen()
subprocess.run(("systemd-notify", "--ready"))
time.sleep(600)
"""
ASK = f"""\
import socket
for place in ({IN_FILES!r}, {ABSTRACT!r}, "/run/dbus/system_bus_socket"):
    try:
        socket.socket(socket.AF_UNIX).connect(place)
        print("connected")
    except OSError as error:
        print(type(error).__name__)
"""

LINKS = ("ip", "-brief", "link", "show", "up")
HIDDEN = ["PermissionError", "ConnectionRefusedError", "PermissionError"]


@dataclass(frozen=True)
class System:
    """A booted system, and ways to run commands as the user of `recluse.service`."""

    container: Container
    unconfined: tuple[str, ...]
    confined: tuple[str, ...]

    def ask(self, entering: tuple[str, ...]) -> list[str]:
        """Try to connect to each socket: in the file system, abstract, and the message bus."""
        return self.container.run(*entering, "python3", "-c", ASK).split()


@pytest.fixture(scope="module")
def system(lab_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    work = tmp_path_factory.mktemp("sandbox")
    with Namespace() as network, Container(lab_root, work / "container", network) as container:
        put_services(container, work)
        container.run("systemctl", "start", "recluse.service")
        pid = container.run("systemctl", "show", "--property=MainPID", "--value", "recluse")
        user = ("setpriv", "--reuid=recluse", "--regid=recluse", "--clear-groups", "--")
        into = ("nsenter", f"--target={pid.strip()}", "--mount", "--net", "--")
        yield System(container, user, (*into, *user))


def put_services(container: Container, folder: Path) -> None:
    """Bring both services into the system; neither is started."""
    own = folder / "components"
    for name, manifest in COMPONENTS.items():
        unit = own / name / f"files/etc/systemd/system/{name}.service"
        unit.parent.mkdir(parents=True)
        unit.write_text(f"[Service]\n{UNITS[name]}\n")
        (own / name / "component.yaml").write_text(manifest)
        container.run("useradd", "--system", name)
    program = own / "speaker/files/usr/lib/speak"
    program.parent.mkdir(parents=True)
    program.write_text(SPEAK)
    profile = folder / "sandbox.yaml"
    profile.write_text(PROFILE)
    reader = SourceFolders([folder, COMPONENTS_FOLDER, KINDS_FOLDER])
    catalog = load_catalog([COMPONENTS_FOLDER, own], reader)
    resolution = resolve(profile, catalog, reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    files = render_files(resolution.resolved, reader)
    container.put([file for file in files if file.origin in COMPONENTS])


def test_service_without_a_network_reaches_no_socket(system: System) -> None:
    """Not even one whose folder was made, or made again, after the service had started."""
    for verb in ("start", "restart"):
        system.container.run("systemctl", verb, "speaker.service")
        assert system.ask(system.unconfined) == ["connected"] * 3
        assert system.ask(system.confined) == HIDDEN, verb


def test_service_without_a_network_has_no_interface_to_send_by(system: System) -> None:
    links = [
        line.split()[0] for line in system.container.run(*system.confined, *LINKS).splitlines()
    ]
    assert links == ["lo"]


def test_service_sees_no_process_of_others(system: System) -> None:
    list_processes = ("sh", "-c", "cat /proc/[0-9]*/comm")
    assert "systemd\n" in system.container.run(*system.unconfined, *list_processes)
    seen = set(system.container.run(*system.confined, *list_processes).split())
    assert seen <= {"sh", "sleep"}

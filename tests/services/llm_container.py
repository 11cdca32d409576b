# SPDX-License-Identifier: GPL-3.0-or-later
"""A booted container with language models: our units, and the private root that an image has.

A container has no loop devices, so the units get the private root as a folder instead of a
squashfs: `RootDirectory=` of the same tree for `RootImage=`. Nothing else of them is changed.
"""

import contextlib
import fcntl
import shutil
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

from container import Container
from lab_root import SUITE, make_lab_root
from net_namespace import Namespace

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, load_catalog
from gnoppix_build.catalog.model import OwnFile, path_of_model
from gnoppix_build.catalog.private_root import ROOTS_FOLDER
from gnoppix_build.cli.session import cache_folder
from gnoppix_build.effects import pool, private_root
from gnoppix_build.effects.apt import host_mirrors, lock_private_root
from gnoppix_build.effects.models import fetch_model
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER
from gnoppix_build.lock.wanted import wanted_roots
from gnoppix_build.plan.steps import digest_of
from gnoppix_build.render.configuration import render_configuration
from gnoppix_build.render.render import render
from gnoppix_build.resolve.model import Resolved
from gnoppix_build.resolve.models import find_models
from gnoppix_build.resolve.resolve import resolve

RUNTIME = "llama-cpp"
PACKAGES = ("dbus", "iproute2", "procps", "python3", "systemd", "systemd-sysv", "udev")
UNIT_FOLDER = Path("etc/systemd/system")
# One root image is one folder here.
AS_A_FOLDER = f"[Service]\nRootImage=\nRootDirectory={ROOTS_FOLDER}/{RUNTIME}\n"
EPOCH = 1_700_000_000


def resolve_lab(components: str, work: Path, own: Path | None = None) -> Resolved:
    """Resolve a profile with the runtime; `components` is what it has under that key besides."""
    profile = work / "lab.yaml"
    profile.write_text(f"version: 1\nname: lab\ncomponents:\n{textwrap.indent(components, '  ')}")
    folders = [COMPONENTS_FOLDER, *([own] if own else [])]
    reader = SourceFolders([work, PACKAGE_FOLDER, *folders])
    resolution = resolve(profile, load_catalog(folders, reader), reader, "image")
    assert resolution.resolved is not None, resolution.diagnostics
    return resolution.resolved


def make_private_root(resolved: Resolved) -> Path:
    """Give the tree of the runtime's private root, made once for each lock of it and kept."""
    root = wanted_roots(resolved)[RUNTIME]
    cache = cache_folder()
    lab = cache / "lab"
    lab.mkdir(parents=True, exist_ok=True)
    with (lab / "lock").open("w") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        mirrors = host_mirrors(None)
        locked = lock_private_root(RUNTIME, root, cache / "apt", "amd64", mirrors)
        inputs = [[astuple(package) for package in locked.packages], root.model_dump(), SUITE]
        target = lab / f"root-{digest_of(inputs)}"
        if not target.is_dir():
            log = target.with_suffix(".log")
            pool.fetch(locked.packages, mirrors, cache / "pool", log)
            archives = [pool.find(package, cache / "pool") for package in locked.packages]
            with tempfile.TemporaryDirectory(dir=lab, prefix="making-") as scratch:
                tree = Path(scratch, "tree")
                private_root.unpack(archives, root, tree, Path("/"), EPOCH, log)
                tree.rename(target)
    return target


def fetch_real_model(name: str, work: Path) -> Path:
    """Give the file of a shipped model, fetched once as a build does."""
    resolved = resolve_lab(f"{name}: {{}}\n", work)
    (model,) = find_models(resolved.components)
    pool_folder = cache_folder() / "pool"
    return fetch_model(model, pool_folder, work / "fetch.log", lambda _there, _due: None)


def write_payload(
    resolved: Resolved, target: Path, models: Mapping[str, Path], own: Path | None = None
) -> None:
    """Write what an image has of the runtime besides packages; `models` are files by name."""
    folders = [PACKAGE_FOLDER, *([own] if own else [])]
    for file in render_configuration(resolved, SourceFolders(folders)):
        place = target / file.path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.content)
        place.chmod(file.mode)
    shutil.copytree(
        make_private_root(resolved), target / f"{ROOTS_FOLDER}/{RUNTIME}".lstrip("/"), symlinks=True
    )
    for model in find_models(resolved.components):
        place = target / path_of_model(model.name).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_file_of(model.source, model.component.folder, models, model.name), place)
        place.chmod(0o444)
    drop_in = target / UNIT_FOLDER / f"{RUNTIME}@.service.d/99-lab.conf"
    drop_in.write_text(AS_A_FOLDER)


def _file_of(source: object, folder: Path, models: Mapping[str, Path], name: str) -> Path:
    return folder / source.path if isinstance(source, OwnFile) else models[name]


@dataclass(frozen=True)
class LlmLab:
    """A booted container with models; its one network is `network`, with `lo` alone."""

    machine: Container
    network: Namespace
    resolved: Resolved

    def socket(self, model: str) -> str:
        """Give a model's socket as the host sees it."""
        return f"/proc/{self.machine.leader}/root/run/{RUNTIME}/{model}/llm.sock"


@contextlib.contextmanager
def booted(
    work: Path,
    components: str,
    models: Mapping[str, Path] | None = None,
    own: Path | None = None,
) -> Iterator[LlmLab]:
    """Boot a container with the runtime, its models loaded."""
    resolved = resolve_lab(components, work, own)
    payload = work / "payload"
    write_payload(resolved, payload, models or {}, own)
    accounts = render(resolved, None, {}, SourceFolders([PACKAGE_FOLDER])).sysusers
    (payload / "etc/sysusers.d").mkdir(parents=True)
    (payload / "etc/sysusers.d/lab.conf").write_text("".join(accounts.values()))
    runtime = next(each for each in resolved.components if each.name == RUNTIME)
    for unit in (unit for each in runtime.contributions for unit in each.units.enable):
        wants = payload / UNIT_FOLDER / "multi-user.target.wants" / unit
        wants.parent.mkdir(exist_ok=True)
        wants.symlink_to(f"../{unit}")
    layers = Path(f"{payload}:{make_lab_root(PACKAGES)}")
    with Namespace() as network, Container(layers, work / "machine", network) as machine:
        yield LlmLab(machine, network, resolved)
    shutil.rmtree(payload)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out a plan's actions with the real tools, on this host."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Self, assert_never

from gnoppix_build.effects import (
    ansible,
    initrd,
    iso,
    layers,
    models,
    namespaces,
    pool,
    private_root,
    rootfs,
)
from gnoppix_build.effects.apt_mirrors import Mirrors
from gnoppix_build.effects.store import Store
from gnoppix_build.plan.steps import (
    PLACED_MODE,
    Apply,
    Blob,
    Bootstrap,
    Fetch,
    FetchModel,
    Install,
    MakeInitrd,
    MakesTree,
    PackLayer,
    PackOutput,
    Place,
    Plan,
    Step,
    Unpack,
)


class HostWorkshop:
    """Works in the store's staging; mounts are private to this process and gone with it.

    `logs` takes a file a step. `tell_bytes` is told of a large file on its way: the step, the bytes
    that are there, and those that there will be. Use it as a context: it ends the mounts.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        mirrors: Mirrors,
        pool: Path,
        logs: Path,
        tell_bytes: Callable[[str, int, int], None],
    ) -> None:
        self._plan = plan
        self._store = store
        self._mirrors = mirrors
        self._pool = pool
        self._logs = logs
        self._tell_bytes = tell_bytes
        self._results: dict[str, Path] = {}
        self._mounted: dict[str, Path] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        namespaces.enter_private_mounts()
        self._store.clear_staging()
        self._logs.mkdir(parents=True, exist_ok=True)
        for stale in self._logs.glob("*.log"):
            stale.unlink()
        self._mounts = self._stack.enter_context(self._store.staging())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def log_of(self, step: Step) -> Path:
        """Name the file that takes all that the step's commands say."""
        return self._logs / f"{step.id.replace(' ', '-')}.log"

    def logs(self) -> tuple[Path, ...]:
        """List the logs of the steps that were carried out."""
        return tuple(sorted(self._logs.glob("*.log")))

    def find(self, step: Step) -> Path | None:
        """Give the step's result if the store has it, whole."""
        found = self._store.find(step.digest)
        if found is not None:
            self._results[step.id] = found
        return found

    def why_missing(self, step: Step) -> str:
        """Say what changed since the step's last result."""
        return self._store.why_missing(self._plan.profile, step.id, step.inputs)

    def layer(self, name: str) -> Path:
        """Give the root of a packed layer, mounted read-only."""
        if name not in self._mounted:
            place = self._mounts / name
            packed = self._results[f"pack {name}"]
            self._stack.enter_context(namespaces.mounted_squashfs(packed, place))
            self._mounted[name] = place
        return self._mounted[name]

    def fetch(self, step: Step, action: Fetch | FetchModel) -> None:
        """Bring .debs, or a model, into the pool."""
        match action:
            case Fetch():
                pool.fetch(action.packages, self._mirrors, self._pool, self.log_of(step))
            case FetchModel():
                tell = partial(self._tell_bytes, step.id)
                models.fetch_model(action.model, self._pool, self.log_of(step), tell)
            case _:
                assert_never(action)

    @contextmanager
    def tree(self, step: Step, action: MakesTree) -> Iterator[Path]:
        """Make a tree that lasts as long as the block."""
        with self._store.staging() as folder:
            root = folder / "tree"
            log = self.log_of(step)
            match action:
                case Bootstrap():
                    self._bootstrap(action, folder, root, log)
                case Install():
                    repository = self._repository(folder, action)
                    lowers = [self.layer(name) for name in action.lowers]
                    rootfs.install(
                        action.packages, repository, lowers, root, action.sysusers, self._epoch, log
                    )
                    layers.strip_overlay_attributes(root)
                case Apply():
                    self._apply(action, folder, root, log)
                case Unpack():
                    archives = [pool.find(package, self._pool) for package in action.packages]
                    tools = self.layer("tools")
                    private_root.unpack(archives, action.root, root, tools, self._epoch, log)
                case Place():
                    self._place(action, root)
                case _:
                    assert_never(action)
            yield root

    def pack_layer(self, step: Step, action: PackLayer, tree: Path) -> Path:
        """Pack a tree and keep the result."""
        tools = tree if action.layer == "tools" else self.layer("tools")
        with self._store.staging() as folder:
            result = folder / "layer.squashfs"
            layers.pack(
                tree,
                result,
                compression=action.compression,
                tools=tools,
                epoch=self._epoch,
                log=self.log_of(step),
            )
            return self._keep(step, result)

    def make_initrd(self, step: Step, action: MakeInitrd) -> Path:
        """Make the initrd and keep it."""
        with self._store.staging() as folder:
            result = folder / "initrd.img"
            lowers = [self.layer(name) for name in action.lowers]
            initrd.make_initrd(lowers, action.files, result, self._epoch, self.log_of(step))
            return self._keep(step, result)

    def pack_output(self, step: Step, action: PackOutput) -> Path:
        """Pack the image and keep it."""
        packed: Mapping[str, Path] = {name: self._results[f"pack {name}"] for name in action.layers}
        with self._store.staging() as folder:
            result = folder / "image.iso"
            iso.pack_iso(
                packed,
                self._results["make initrd"],
                initrd.find_kernel(self.layer("base")),
                result,
                volume_id=action.volume_id,
                kernel_arguments=action.kernel_arguments,
                epoch=self._epoch,
                tools=self.layer("tools"),
                log=self.log_of(step),
            )
            return self._keep(step, result)

    @property
    def _epoch(self) -> int:
        return self._plan.epoch

    def _keep(self, step: Step, result: Path) -> Path:
        kept = self._store.add(step.digest, result, step.inputs, step.id, self._plan.profile)
        self._results[step.id] = kept
        return kept

    def _repository(self, folder: Path, action: Bootstrap | Install) -> Path:
        repository = folder / "repository"
        pool.write_repository(action.packages, self._pool, repository)
        return repository

    def _bootstrap(self, action: Bootstrap, folder: Path, root: Path, log: Path) -> None:
        repository = self._repository(folder, action)
        if action.layer == "tools":
            rootfs.bootstrap_tools(action.packages, repository, root, self._epoch, log)
            return
        tools = self.layer("tools")
        rootfs.bootstrap(
            action.packages, repository, root, tools, action.sysusers, self._epoch, log
        )

    def _apply(self, action: Apply, folder: Path, upper: Path, log: Path) -> None:
        """Run Ansible on the layers below, with `upper` to take what it writes."""
        tree = folder / "rendered"
        write_tree(action.tree, tree)
        target = folder / "root"
        lowers = [self.layer(name) for name in action.lowers]
        layers.overlay(lowers, upper, folder / "work", target)
        try:
            ansible.apply(
                tree,
                target,
                log=log,
                artifacts=folder / "artifacts",
                epoch=self._epoch,
                on_task=lambda _task: None,
            )
        finally:
            namespaces.unmount(target)
        layers.clean(upper, self._epoch)
        layers.strip_overlay_attributes(upper)

    def _place(self, action: Place, root: Path) -> None:
        """Put one file into an empty tree, dated like everything else."""
        match action.content:
            case Blob():
                source = pool.find_blob(action.content, self._pool)
            case str():
                source = self._results[action.content]
        place = root / action.path.lstrip("/")
        place.parent.mkdir(parents=True)
        shutil.copyfile(source, place)
        place.chmod(PLACED_MODE)
        layers.clamp_times(root, self._epoch)


def write_tree(files: Mapping[str, bytes], folder: Path) -> None:
    """Write a rendered tree: path below the folder -> bytes. The folder must not exist."""
    folder.mkdir(parents=True)
    for path, content in files.items():
        place = folder / path
        assert place.resolve().is_relative_to(folder.resolve()), path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

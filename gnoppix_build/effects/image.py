# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening an image: the layers of an ISO, mounted one by one and as the system sees them."""

import getpass
import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gnoppix_build.effects import namespaces
from gnoppix_build.effects.process import isolated, run
from gnoppix_build.effects.traces import find_traces

LAYER_ORDER = "filesystem.module"
# A shorter name is a word of its own in too many files that have nothing to do with the host.
SHORTEST_NEEDLE = 5
CONFIGURATION = ("/etc/", "/var/lib/dbus/", "/var/lib/systemd/")
# Every image has these.
COMMON_NAMES = frozenset({"localhost", "debian", "root"})


@dataclass(frozen=True, slots=True)
class OpenImage:
    """`root` is the whole system; `layers` maps a layer to its own root, lowest first."""

    root: Path
    layers: dict[str, Path]


@contextmanager
def opened_iso(iso: Path, work: Path, tools: Path, log: Path) -> Iterator[OpenImage]:
    """Mount an ISO's layers read-only; needs private mounts, and ends them.

    The layers are taken out by the tools tree's xorriso: not every kernel reads an ISO.
    """
    live = work / "live"
    live.mkdir(parents=True)
    argv = ("xorriso", "-osirrox", "on", "-indev", "/mnt/image", "-extract", "/live", "/mnt/live")
    run(isolated(argv, root=tools, bindings={"image": iso, "live": live}), log=log)
    with ExitStack() as stack:
        opened: dict[str, Path] = {}
        for name in (live / LAYER_ORDER).read_text().split():
            layer = name.removesuffix(".squashfs")
            place = work / f"layer-{layer}"
            stack.enter_context(namespaces.mounted_squashfs(live / name, place))
            opened[layer] = place
        root = work / "root"
        lowers = ":".join(str(place) for place in reversed(opened.values()))
        namespaces.mount("overlay", root, filesystem="overlay", options=(f"lowerdir={lowers}",))
        stack.callback(namespaces.unmount, root)
        yield OpenImage(root, opened)


@dataclass(frozen=True, slots=True)
class Needles:
    """Words that would name this host; `short` ones mean something only in configuration."""

    long: tuple[bytes, ...]
    short: tuple[bytes, ...]


def host_needles(folders: tuple[Path, ...]) -> Needles:
    """Give what would name this host in an image: its name, its user, its kernel, its folders."""
    user = "" if os.geteuid() == 0 else getpass.getuser()
    words = (platform.node(), user, platform.release(), *(str(folder) for folder in folders))
    told = [word.encode() for word in words if word and word not in COMMON_NAMES]
    return Needles(
        tuple(word for word in told if len(word) >= SHORTEST_NEEDLE),
        tuple(word for word in told if len(word) < SHORTEST_NEEDLE),
    )


def trace_layers(
    image: OpenImage, long: tuple[bytes, ...], short: tuple[bytes, ...]
) -> dict[str, list[str]]:
    """Look through every layer by itself: what an upper one hides is still readable."""
    return {
        layer: sorted({*find_traces(root, long), *_short_traces(root, short)})
        for layer, root in image.layers.items()
    }


def _short_traces(root: Path, names: tuple[bytes, ...]) -> list[str]:
    """A host called `vm` has left no trace in `vm.swappiness`, a setting of the kernel."""
    return _in_configuration(find_traces(root, names, rb"(?!\.[a-z])"))


def _in_configuration(paths: list[str]) -> list[str]:
    return [path for path in paths if path.startswith(CONFIGURATION)]

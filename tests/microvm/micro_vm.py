# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that is a kernel and one program: the suite's own kernel, and an initramfs of ours."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab_root import only_path

from gnoppix_build.effects.process import capture, isolated, place_of_binding
from gnoppix_build.effects.qemu import start_in_tools

PACKAGES = ("cpio", "iproute2", "kmod", "linux-image-amd64", "nftables", "python3-minimal")
MODULES = ("veth", "sctp", "nf_tables", "nft_chain_nat", "nft_ct", "nft_redir", "nft_reject_inet")
PROGRAMS = ("sh", "sleep", "mount", "modprobe", "ip", "nft", "python3", "unshare", "nsenter")
LINKED_FOLDERS = ("bin", "lib", "lib64", "sbin")
# Looked for by patterns: no program names them, kmod opens its library when it needs it.
ALSO = (
    *("usr/lib/python3*/**/*.py", "usr/lib/python3*/lib-dynload/*.so"),
    *("usr/lib/*/liblzma.so.*", "usr/lib/modules/*/modules.*"),
)
BEGIN, END = "<<<begin>>>", "<<<end>>>"
# The first process: what a program expects of a system, then the program, then the end.
INIT = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for module in {modules}; do modprobe "$module"; done
{{ echo "{begin}"; python3 /lab/{program} /lab; echo "{end} $?"; }} >/dev/ttyS0 2>&1
echo o >/proc/sysrq-trigger
sleep 60
"""
TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Outcome:
    """How the program ended, and what it printed."""

    status: int
    output: str


def run_in_micro_vm(tools: Path, root: Path, folder: Path, program: str, work: Path) -> Outcome:
    """Run `program`, a file of `folder`, as root on the kernel of `root`, alone in a machine.

    `tools`: a tree with QEMU; `root`: a tree of PACKAGES. The program finds `folder` at /lab,
    which is its one argument.
    """
    _write_initramfs(root, folder, program, work)
    shutil.copyfile(only_path(root, "boot/vmlinuz-*"), work / "kernel")
    with (work / "qemu.log").open("wb") as log:
        process = start_in_tools(tools, {"work": work}, _qemu_command(), log=log)
        try:
            process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not off in {TIMEOUT_S:.0f} s; see {work}") from None
        finally:
            process.kill()
            process.wait()
    said = (work / "console").read_text(errors="replace").replace("\r\n", "\n")
    found = re.search(rf"{BEGIN}\n(.*){END} (\d+)\n", said, re.DOTALL)
    assert found is not None, f"see {work}: {said[-1000:]}"
    return Outcome(int(found[2]), found[1])


def _qemu_command() -> tuple[str, ...]:
    work = place_of_binding("work")
    return (
        "qemu-system-x86_64",
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "Nehalem"),
        *("-smp", "1", "-m", "512", "-serial", f"file:{work}/console"),
        *("-kernel", f"{work}/kernel", "-initrd", f"{work}/initramfs"),
        *("-append", "quiet loglevel=0 panic=-1 mitigations=off rdinit=/init"),
    )


def _write_initramfs(root: Path, folder: Path, program: str, work: Path) -> None:
    """Write the file system that the kernel starts with: what the root has, then what is ours.

    It is not compressed: an emulated machine unpacks slowly.
    """
    own = work / "own"
    for name in ("dev", "etc", "proc", "sys", "tmp"):
        (own / name).mkdir(parents=True)
    shutil.copytree(folder, own / "lab")
    shutil.copyfile(folder / "passwd", own / "etc/passwd")
    init = INIT.format(modules=" ".join(MODULES), program=program, begin=BEGIN, end=END)
    (own / "init").write_text(init)
    (own / "init").chmod(0o755)
    listed = [str(path.relative_to(own)) for path in sorted(own.rglob("*"))]
    bindings = {"own": own}
    archive = _archive(root, "/", _files_of(root), {})
    archive += _archive(root, place_of_binding("own"), listed, bindings)
    (work / "initramfs").write_bytes(archive)


def _archive(root: Path, start: str, paths: Iterable[str], bindings: Mapping[str, Path]) -> bytes:
    argv = ("cpio", "--create", "--quiet", "--format=newc", "--owner=0:0", f"--directory={start}")
    listed = "\n".join(paths).encode()
    return capture(isolated(argv, root=root, bindings=dict(bindings)), stdin=listed)


def _files_of(root: Path) -> list[str]:
    """List what the programs need, each folder and link before what is behind it."""
    wanted = {*LINKED_FOLDERS, *_with_libraries(root), *_with_dependencies(root)}
    wanted |= {str(path.relative_to(root)) for pattern in ALSO for path in root.glob(pattern)}
    complete = {each for path in wanted for each in _followed(root, path)}
    parents = {str(parent) for path in complete for parent in Path(path).parents}
    return sorted(complete | (parents - {"."}))


def _with_libraries(root: Path) -> Iterator[str]:
    """Give the programs and the libraries that the linker would load for them."""
    found = [_program(root, name) for name in PROGRAMS]
    yield from found
    said = capture(isolated(("ldd", *(f"/{path}" for path in found)), root=root)).decode()
    yield from (path.lstrip("/") for path in re.findall(r"(/\S+\.so\S*) \(", said))


def _with_dependencies(root: Path) -> Iterator[str]:
    """Give the kernel modules and those that they need."""
    release = only_path(root, "usr/lib/modules/*").name
    argv = ("modprobe", "--set-version", release, "--show-depends", "--all", *MODULES)
    said = capture(isolated(argv, root=root)).decode()
    for path in re.findall(r"^insmod (\S+)", said, re.MULTILINE):
        yield path.lstrip("/").replace("lib/modules", "usr/lib/modules", 1)


def _program(root: Path, name: str) -> str:
    return next(
        f"{folder}/{name}"
        for folder in ("usr/bin", "usr/sbin")
        if (root / folder / name).is_symlink() or (root / folder / name).exists()
    )


def _followed(root: Path, path: str) -> Iterator[str]:
    """Give a path without links in its folders, and what its links lead to."""
    place = root / path
    place = place.parent.resolve() / place.name
    while True:
        yield str(place.relative_to(root))
        if not place.is_symlink() or str(place.relative_to(root)) in LINKED_FOLDERS:
            return
        target = place.readlink()
        place = root / str(target).lstrip("/") if target.is_absolute() else place.parent / target
        place = place.parent.resolve() / place.name

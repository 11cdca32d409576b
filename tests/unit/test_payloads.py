# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers that carry one file: how they are locked, planned, and made of real packages."""

import subprocess
from pathlib import Path

import pytest

from gnoppix_build.catalog.private_root import PrivateRoot
from gnoppix_build.effects.private_root import PrivateRootFault, unpack
from gnoppix_build.lock.model import Lock, LockedRoot, Package, PackageSet
from gnoppix_build.lock.text import MalformedLock, format_lock, parse_lock
from gnoppix_build.plan.make import ToolVersions, make_plan, make_roots_plan
from gnoppix_build.plan.payloads import place_file, step_of_root
from gnoppix_build.plan.steps import Blob, Place, Plan
from gnoppix_build.render.tree import RenderedTree

NOTHING = PackageSet((), ())
ROOT = PrivateRoot(suite="forky", packages=("hello",), keeps=("/usr/bin/hello",))
HELLO = Package("hello", "2.10-5", "amd64", 9, "a" * 64, "debian/pool/main/h/hello/hello.deb")
LOCKED = LockedRoot("one", "forky", (HELLO,))
BLOB = Blob("words", 3, "b" * 64)


def make_lock(*roots: LockedRoot) -> Lock:
    return Lock("trixie", "amd64", 7, (), NOTHING, NOTHING, NOTHING, roots)


def plan_with(root: PrivateRoot, locked: LockedRoot) -> Plan:
    tree = RenderedTree("lab", {}, (), {}, {}, (), {"one": root})
    return make_plan(tree, make_lock(locked), "release", ToolVersions("1", "2"))


def changed_steps(old: Plan, new: Plan) -> list[str]:
    return [
        step.id
        for step, other in zip(old.steps, new.steps, strict=True)
        if step.digest != other.digest
    ]


def test_lock_keeps_private_roots() -> None:
    lock = make_lock(LOCKED)
    text = format_lock(lock)
    assert parse_lock(text, "x.lock") == lock
    assert '   {"name": "hello", "version": "2.10-5"' in text, "one package a line"
    assert "private_roots" not in format_lock(make_lock())


def test_lock_refuses_a_path_of_a_private_root_that_leaves_the_pool() -> None:
    evil = LockedRoot("one", "forky", (Package(*("a1", "1", "all", 1, "a" * 64, "../etc/x.deb")),))
    with pytest.raises(MalformedLock, match=r"^`x.lock`: package `a1`: `../etc/x.deb` cannot be"):
        parse_lock(format_lock(make_lock(evil)), "x.lock")


def test_private_root_is_a_layer_between_packages_and_configuration() -> None:
    plan = plan_with(ROOT, LOCKED)
    names = [step.id for step in plan.steps]
    first = names.index("fetch root-one")
    assert names[first - 1 : first + 6] == [
        "pack packages",
        "fetch root-one",
        "unpack root-one",
        "pack root-one root",
        "place root-one",
        "pack root-one",
        "apply configuration",
    ]
    output = plan.steps[-1].action
    assert getattr(output, "layers", None) == ("base", "packages", "root-one", "configuration")


def test_change_of_what_a_root_keeps_makes_its_layer_and_the_image_anew() -> None:
    other = PrivateRoot(suite="forky", packages=("hello",), keeps=("/usr/bin/*",))
    assert changed_steps(plan_with(ROOT, LOCKED), plan_with(other, LOCKED)) == [
        "unpack root-one",
        "pack root-one root",
        "place root-one",
        "pack root-one",
        "pack iso",
    ]


def test_root_of_a_machine_is_that_of_an_image() -> None:
    image = plan_with(ROOT, LOCKED)
    plan = make_roots_plan(
        "lab", {"one": ROOT}, make_lock(LOCKED), "release", ToolVersions("1", "2")
    )
    assert [step.id for step in plan.steps] == [
        "fetch tools",
        "bootstrap tools",
        "pack tools",
        "fetch root-one",
        "unpack root-one",
        step_of_root("one"),
    ]
    assert [step.digest for step in plan.steps] == [
        image.step(each.id).digest for each in plan.steps
    ]


def test_blob_is_placed_by_its_hash() -> None:
    place, pack = place_file("words", "/usr/share/words", BLOB, {"epoch": "7"}, {"tools": "t"})
    assert place.action == Place("words", "/usr/share/words", BLOB)
    renamed = Blob("others", BLOB.size, BLOB.sha256)
    same = place_file("words", "/usr/share/words", renamed, {"epoch": "7"}, {"tools": "t"})
    assert [each.digest for each in same] == [place.digest, pack.digest]
    changed = Blob("words", BLOB.size, "c" * 64)
    other = place_file("words", "/usr/share/words", changed, {"epoch": "7"}, {"tools": "t"})
    assert {each.digest for each in other}.isdisjoint({place.digest, pack.digest})


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A .deb with a real program, a document, and a script that must never run."""
    package = tmp_path / "package"
    (package / "DEBIAN").mkdir(parents=True)
    (package / "usr/bin").mkdir(parents=True)
    (package / "usr/share/doc/hello").mkdir(parents=True)
    (package / "usr/bin/hello").write_bytes(Path("/bin/true").read_bytes())
    (package / "usr/share/doc/hello/copyright").write_text("ours")
    control = "Package: hello\nVersion: 1\nArchitecture: amd64\nMaintainer: N <n@e.invalid>\n"
    (package / "DEBIAN/control").write_text(f"{control}Description: says hello\n")
    script = package / "DEBIAN/postinst"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\n")
    script.chmod(0o755)
    built = tmp_path / "hello.deb"
    subprocess.run(("dpkg-deb", "--root-owner-group", "--build", package, built), check=True)
    return built


def unpacked(archive: Path, root: PrivateRoot) -> Path:
    target = archive.parent / "target"
    unpack([archive], root, target, Path("/"), 1_000_000_000, archive.parent / "log")
    return target


@pytest.mark.root
def test_private_root_holds_what_it_keeps_and_nothing_else(archive: Path) -> None:
    root = PrivateRoot(
        suite="forky", packages=("hello",), keeps=("/usr/bin/h*o",), stand_ins=("libc.so.6",)
    )
    target = unpacked(archive, root)
    files = {f"/{path.relative_to(target)}" for path in target.rglob("*") if path.is_file()}
    assert files == {"/usr/bin/hello", "/usr/lib/x86_64-linux-gnu/libc.so.6"}
    empty = {path.name for path in target.iterdir() if path.is_dir() and not any(path.iterdir())}
    assert empty == {"dev", "etc", "proc", "run", "sys", "tmp"}
    assert not (archive.parent / "was-run").exists()
    assert {path.lstat().st_mtime for path in target.rglob("*")} == {1_000_000_000}


@pytest.mark.root
def test_private_root_without_a_library_is_refused(archive: Path) -> None:
    with pytest.raises(PrivateRootFault) as raised:
        unpacked(archive, ROOT)
    message = "`/usr/bin/hello` needs `libc.so.6`, which is not in the private root"
    assert raised.value.message == message


@pytest.mark.root
def test_private_root_names_what_no_package_has(archive: Path) -> None:
    root = PrivateRoot(suite="forky", packages=("hello",), keeps=("/usr/bin/hullo",))
    with pytest.raises(PrivateRootFault) as raised:
        unpacked(archive, root)
    assert raised.value.message == "no package of the private root has `/usr/bin/hullo`"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering: the tree that a build or a machine gets."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from jinja2 import UndefinedError

from gnoppix_build.catalog.manifest import Group, Manifest, Units, User
from gnoppix_build.catalog.service import Service
from gnoppix_build.diagnostics import Span
from gnoppix_build.language.node import Table
from gnoppix_build.lock.model import Lock, Package, PackageSet
from gnoppix_build.render.encoders import (
    encode_apparmor_path,
    encode_environment,
    encode_openvpn_parameter,
    encode_systemd,
    encode_systemd_argument,
    encode_torrc,
)
from gnoppix_build.render.render import render
from gnoppix_build.render.sources import SourceFile
from gnoppix_build.resolve.membership import groups_of_users
from gnoppix_build.resolve.model import Resolved, ResolvedComponent


class Folders:
    def __init__(self, files: Mapping[Path, Iterable[SourceFile]]) -> None:
        self.files = files

    def files_below(self, folder: Path) -> Iterable[SourceFile]:
        return self.files.get(folder, ())


def make_component(name: str) -> ResolvedComponent:
    manifest = Manifest(
        kind="system",
        summary="",
        packages=("bash", "apt"),
        users=(User(name="someone", uid=123),),
        units=Units(enable=("x.service",)),
        kernel_arguments=("quiet",),
    )
    options = {"a-name": "{{ 1 + 1 }}"}
    place = Span("p.yaml", 1, 1, 1, 1)
    return ResolvedComponent(
        name=name,
        folder=Path("/c") / name,
        layer="base",
        manifest=manifest,
        options=options,
        definitions={},
        reason="asked for",
        place=place,
        root=Table((), place),
    )


def make_resolved(*components: ResolvedComponent) -> Resolved:
    areas = ("main",)
    return Resolved(
        *("demo", "", "trixie", areas, "amd64", "C.UTF-8", "us", None, "image"),
        *(components, ("extra",), "development", ()),
    )


FILES = {
    Path("/c/one/files"): (
        SourceFile("etc/a.conf.j2", b"{{ header }}\nname={{ options.a_name }}\n", False),
        SourceFile("etc/nothing.j2", b"{% if options.a_name == 'x' %}\nx\n{% endif %}\n", False),
        SourceFile("usr/bin/run", b"\x00{{ raw }}", True),
    ),
    Path("/c/one/tasks"): (SourceFile("main.yml", b"---\n", False),),
}
NO_DOORS = (
    b'{\n "format_version": 1,\n "listeners": [],\n "sockets": [],\n "inner": [],\n'
    b' "consents": []\n}\n'
)
NO_LISTENERS = b'{\n "format_version": 1,\n "listeners": [],\n "sockets": []\n}\n'
TOLD = ("inventory/hosts.yml", "project/components.yml", "project/group_vars/all.yml")
HEADER = "# Rendered by gnoppix-build: profile demo, component one.\n"


def test_render_yields_the_whole_tree() -> None:
    playbooks = {"site.yml": b"---\n"}
    tree = render(make_resolved(make_component("one")), None, playbooks, Folders(FILES))
    variables = tree.files["project/group_vars/all.yml"]
    assert {path: text for path, text in tree.files.items() if path not in TOLD} == {
        "packages/base.list": b"apt\nbash\n",
        "packages/packages.list": b"extra\n",
        "policy/capture.json": b'{\n "format_version": 1,\n "rules": []\n}\n',
        "policy/listeners.json": NO_DOORS,
        "policy/matrix.json": NO_LISTENERS,
        "project/files/one/etc/a.conf": f"{HEADER}name={{{{ 1 + 1 }}}}\n".encode(),
        "project/files/one/usr/bin/run": b"\x00{{ raw }}",
        "project/site.yml": b"---\n",
        "project/tasks/one.yml": b"---\n",
        "sysusers/base.conf": (b'g someone 123 -\nu someone 123:123 "-" / /usr/sbin/nologin\n'),
        "sysusers/packages.conf": b"",
    }
    assert [(file.path, file.mode) for file in tree.configuration] == [
        ("/etc/a.conf", 0o644),
        ("/usr/bin/run", 0o755),
    ]
    assert tree.kernel_arguments == ("quiet",)
    assert variables.startswith(b"---\ngnoppix_components: !unsafe\n")


def test_machine_gets_its_kernel_arguments_by_its_boot_loader() -> None:
    machine = replace(make_resolved(make_component("one")), target="machine")
    files = render(machine, None, {}, Folders({})).configuration
    assert [(file.path, file.content.decode(), file.mode, file.origin) for file in files] == [
        (
            "/etc/default/grub.d/60-gnoppix-one.cfg",
            f'{HEADER}GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT quiet"\n',
            0o644,
            "one",
        )
    ]


@pytest.mark.parametrize("has_sandbox", [True, False])
def test_service_without_a_sandbox_stays_as_its_package_has_it(has_sandbox: bool) -> None:
    component = make_component("one")
    service = Service.model_validate(
        {"unit": "x.service", "user": "someone", "sandbox": has_sandbox, "exposure": "1.5"}
    )
    bare = replace(
        component, manifest=component.manifest.model_copy(update={"services": (service,)})
    )
    files = render(make_resolved(bare), None, {}, Folders({})).configuration
    drop_in = "/etc/systemd/system/x.service.d/60-gnoppix-sandbox.conf"
    assert [file.path for file in files] == ([drop_in] if has_sandbox else [])


def test_ansible_reads_the_variables_as_they_are() -> None:
    tree = render(make_resolved(make_component("one")), None, {}, Folders(FILES))
    read = DataLoader().load(tree.files["project/group_vars/all.yml"].decode())
    assert read["gnoppix_components"][0] == {
        "name": "one",
        "packages": ["apt", "bash"],
        "files": [
            {"path": "/etc/a.conf", "mode": "0644", "owner": "root", "group": "root"},
            {"path": "/usr/bin/run", "mode": "0755", "owner": "root", "group": "root"},
        ],
        "payloads": [],
        "units": {"enable": ["x.service"], "disable": [], "mask": []},
        "tasks": True,
    }


def test_render_names_exact_versions_with_a_lock() -> None:
    chosen = PackageSet(("apt",), (Package("apt", "1.0-1", "amd64", 1, "0" * 64, "pool/a.deb"),))
    nothing = PackageSet((), ())
    lock = Lock("trixie", "amd64", 0, (), chosen, nothing, nothing)
    tree = render(make_resolved(make_component("one")), lock, {}, Folders(FILES))
    assert tree.files["packages/base.lock"] == b"apt=1.0-1\n"


def test_render_gives_the_same_bytes_again() -> None:
    resolved = make_resolved(make_component("one"))
    first = render(resolved, None, {}, Folders(FILES))
    reversed_files = {folder: files[::-1] for folder, files in FILES.items()}
    assert render(resolved, None, {}, Folders(reversed_files)) == first


def test_render_refuses_two_origins_of_a_path() -> None:
    one, two = make_component("one"), make_component("two")
    files = {**FILES, Path("/c/two/files"): (SourceFile("etc/a.conf", b"", False),)}
    with pytest.raises(AssertionError, match=r"/etc/a\.conf"):
        render(make_resolved(one, two), None, {}, Folders(files))


def test_render_refuses_a_name_that_is_not_there() -> None:
    files = {Path("/c/one/files"): (SourceFile("a.j2", b"{{ nothing }}", False),)}
    with pytest.raises(UndefinedError, match="nothing"):
        render(make_resolved(make_component("one")), None, {}, Folders(files))


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (encode_apparmor_path("/etc/ca.crt"), '"/etc/ca.crt"'),
        (encode_apparmor_path('/a,b*{c}"'), '"/a,b\\*\\{c\\}\\""'),
        (encode_torrc(9050), "9050"),
        (encode_torrc('a "b" #c'), '"a \\"b\\" #c"'),
        (encode_systemd("100% a\\b"), "100%% a\\\\b"),
        (encode_systemd_argument("a+b/c"), "a+b/c"),
        (encode_systemd_argument('100% of "$a\\b"'), '"100%% of \\"$$a\\\\b\\""'),
        (encode_systemd_argument(""), '""'),
        (encode_openvpn_parameter("/etc/ca.crt"), "/etc/ca.crt"),
        (encode_openvpn_parameter('a "b" \\ #c'), '"a \\"b\\" \\\\ #c"'),
        (encode_environment("C.UTF-8"), "C.UTF-8"),
        (encode_environment("a $b"), '"a \\$b"'),
    ],
)
def test_encoder_writes_its_format(encoded: str, expected: str) -> None:
    assert encoded == expected


def test_group_has_its_number_where_its_first_member_comes() -> None:
    """sysusers(8) would else give it one of its own at the member's line."""
    member = Manifest(
        kind="system", summary="", users=(User(name="asker", uid=124, groups=("control",)),)
    )
    owner = Manifest(kind="system", summary="", groups=(Group(name="control", gid=860),))
    lower = replace(make_component("lower"), manifest=member)
    upper = replace(make_component("upper"), manifest=owner, layer="packages")
    tree = render(make_resolved(lower, upper), None, {}, Folders({}))
    assert tree.sysusers["base"].splitlines()[:3] == [
        "g asker 124 -",
        "g control 860 -",
        "m asker control",
    ]


def test_group_for_people_has_every_person_in_it() -> None:
    """Debian gives people the numbers from 1000 to 59999."""
    users = (User(name="somebody", uid=1000), User(name="service", uid=999))
    people = Manifest(kind="system", summary="", users=users)
    owner = Manifest(
        kind="system",
        summary="",
        groups=(Group(name="control", gid=860, for_people=True), Group(name="other", gid=861)),
    )
    resolved = make_resolved(
        replace(make_component("people"), manifest=people),
        replace(make_component("owner"), manifest=owner),
    )
    assert groups_of_users(resolved.components) == {"somebody": ("control",), "service": ()}
    members = [
        line
        for line in render(resolved, None, {}, Folders({})).sysusers["base"].splitlines()
        if line.startswith("m ")
    ]
    assert members == ["m somebody control"]

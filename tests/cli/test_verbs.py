# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as people type it."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gnoppix_build.checks.context import CheckContext
from gnoppix_build.checks.run import run_checks
from gnoppix_build.targets.tree import TreeHost

PROJECT = Path(__file__).parents[2]
MISTAKES = PROJECT / "tests" / "golden" / "mistakes"
MEMORY_BYTES = 500 << 20
CPU_S = 10
HOSTILE = {
    "traversal": b"version: 1\nname: ../../etc/cron.d/x\n",
    "template": b"version: 1\nname: x\nsummary: \"{{ lookup('pipe', 'touch /tmp/owned') }}\"\n",
    "semicolon": b"version: 1\nname: x\npackages: ['tor; reboot']\n",
    "option": b"version: 1\nname: x\npackages: [--allow-unauthenticated]\n",
    "newline": b'version: 1\nname: x\nsummary: "a\\nb"\n',
    "nul": b"version: 1\nname: x\0y\n",
    "bidi": "version: 1\nname: x\nsummary: a\u202eb\n".encode(),
    "huge": b"version: 1\nname: x\nsummary: " + b"a" * (100 << 20),
    "deep": b"[" * 100_000,
    "bomb": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "tag": b"!!python/object/apply:os.system ['touch /tmp/owned']\n",
    "documents": b"version: 1\nname: x\n---\nversion: 1\nname: y\n",
}


def limit_resources() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))


def build_image(*arguments: str, limited: bool = False) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        (sys.executable, "-m", "gnoppix_build", *arguments),
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        timeout=120,
        preexec_fn=limit_resources if limited else None,
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_profile_is_refused_with_a_place(name: str, tmp_path: Path) -> None:
    profile = tmp_path / "hostile.yaml"
    profile.write_bytes(HOSTILE[name])
    before = sorted(tmp_path.iterdir())
    done = build_image("validate", str(profile), limited=True)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith(f"{profile}:"), done.stderr
    assert "error[" in done.stderr.splitlines()[0]
    assert sorted(tmp_path.iterdir()) == before
    assert not Path("/tmp/owned").exists()


def test_validate_tells_twelve_mistakes_of_twelve_kinds_at_once() -> None:
    done = build_image(
        "validate", str(MISTAKES / "twelve.yaml"), "--components", str(MISTAKES / "components")
    )
    heads = [line for line in done.stderr.splitlines() if ": error[" in line]
    codes = {line.split("[", 1)[1].split("]", 1)[0] for line in heads}
    assert done.returncode == 3
    assert (len(heads), len(codes)) == (12, 12), heads


def test_validate_gives_programs_every_place_of_a_conflict(tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text("version: 1\nname: mine\nextends: [minimal]\npackages: [onionshare]\n")
    done = build_image("validate", str(profile), "--format", "json")
    (told,) = json.loads(done.stdout)["diagnostics"]
    assert (done.returncode, told["code"], told["severity"]) == (3, "feature-taken-away", "error")
    places = [told, *told["notes"]]
    assert [Path(each["file"]).name for each in places] == [
        "minimal.yaml",
        "component.yaml",
        "mine.yaml",
        "features.yaml",
        "features.yaml",
    ]


def test_validate_judges_a_profile_for_a_machine(tmp_path: Path) -> None:
    """The user of `live-system` is not there on a machine, and a rule would name it."""
    folder = tmp_path / "components" / "desk"
    folder.mkdir(parents=True)
    (folder / "component.yaml").write_text(
        "kind: system\nsummary: A desk\nrequires: [debian-base]\n"
        "egress:\n  - {user: user, reach: loopback}\n"
    )
    profile = tmp_path / "mine.yaml"
    profile.write_text("version: 1\nname: mine\nextends: [minimal]\ncomponents:\n  desk: {}\n")
    own = ("--components", str(tmp_path / "components"))
    assert build_image("validate", str(profile), *own).returncode == 0
    done = build_image("validate", str(profile), "--target", "machine", *own)
    assert (done.returncode, "error[unknown-account]" in done.stderr) == (3, True)


# Without the packages that building, provisioning and verifying need besides.
LIGHT = """
import sys
for name in ("ansible", "ansible_runner", "elftools", "pytest", "testinfra"):
    sys.modules[name] = None
from gnoppix_build.cli import main
main()
"""


@pytest.mark.parametrize("verb", [("validate",), ("render", "-o"), ("debs", "-o")])
def test_light_verb_needs_only_what_the_package_depends_on(
    verb: tuple[str, ...], tmp_path: Path
) -> None:
    folder = [str(tmp_path / "result")] if "-o" in verb else []
    program = (sys.executable, "-c", LIGHT, *verb, *folder, "minimal")
    done = subprocess.run(program, check=False, capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0, done.stderr


def test_parts_of_verbs_that_need_a_lock_load_without_what_building_needs() -> None:
    names = ("cli.build", "cli.locks", "app.assembly", "effects.apt", "effects.workshop")
    loading = "".join(f"import gnoppix_build.{name}\n" for name in names)
    program = (sys.executable, "-c", LIGHT.partition("from")[0] + loading)
    done = subprocess.run(program, check=False, capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0, done.stderr


def test_new_profile_is_valid_and_is_not_overwritten(tmp_path: Path) -> None:
    assert build_image("new", "mine", "-o", str(tmp_path)).returncode == 0
    assert (tmp_path / "mine.yaml").read_text().startswith("# yaml-language-server: $schema=")
    assert build_image("validate", str(tmp_path / "mine.yaml")).returncode == 0
    assert build_image("new", "mine", "-o", str(tmp_path)).returncode == 2


def test_new_profile_needs_a_name_that_is_one(tmp_path: Path) -> None:
    done = build_image("new", "../x", "-o", str(tmp_path))
    assert (done.returncode, list(tmp_path.iterdir())) == (3, [])


def test_schema_names_every_component() -> None:
    schema = json.loads(build_image("schema").stdout)
    catalog = json.loads(build_image("catalog", "--format", "json").stdout)
    named = set(schema["properties"]["components"]["properties"])
    assert named == {each["name"] for each in catalog["components"]}


def test_component_from_another_folder_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "components" / "greeting"
    (folder / "files" / "etc").mkdir(parents=True)
    (folder / "component.yaml").write_text(
        "kind: system\nsummary: A greeting\nrequires: [debian-base]\noptions:\n"
        "  words: {type: text, default: hello, doc: What it says., example: hi}\n"
    )
    (folder / "files" / "etc" / "greeting.j2").write_text("{{ header }}\n{{ options.words }}\n")
    (folder / "check_greeting.py").write_text(
        '"""Checks."""\nimport pytest\n\n\n@pytest.mark.static\ndef test_greeting(host, options):\n'
        '    """It greets."""\n'
        "    assert options['words'] in host.file('/etc/greeting').content_string\n"
    )
    profile = tmp_path / "mine.yaml"
    profile.write_text(
        "version: 1\nname: mine\nextends: [minimal]\ncomponents:\n  greeting: {words: good day}\n"
    )
    own = ("--components", str(tmp_path / "components"))
    assert build_image("validate", str(profile), *own).returncode == 0
    assert "words = good day" in build_image("explain", str(profile), *own).stdout
    rendered = tmp_path / "rendered"
    assert build_image("render", str(profile), *own, "-o", str(rendered)).returncode == 0
    greeting = rendered / "project" / "files" / "greeting" / "etc" / "greeting"
    assert greeting.read_text().splitlines()[1:] == ["good day"]
    assert check_greeting(folder, rendered / "project" / "files" / "greeting") == "pass"


def check_greeting(component: Path, root: Path) -> str:
    context = CheckContext(TreeHost(root), options={"greeting": {"words": "good day"}})
    (finding,) = run_checks({"greeting": component / "check_greeting.py"}, "static", context)
    return finding.outcome


def test_catalog_shows_one_component() -> None:
    done = build_image("catalog", "debian-base")
    assert done.stdout.startswith("debian-base (system): ")
    assert "\n        `test_" in done.stdout
    assert "\ntor (" not in done.stdout


def test_catalog_knows_what_a_wrong_name_may_have_meant() -> None:
    done = build_image("catalog", "debian-bass")
    assert done.returncode == 2
    assert done.stderr.endswith(
        "Error: there is no component `debian-bass`; did you mean `debian-base`?\n"
    )


def test_unknown_verb_is_a_usage_error() -> None:
    assert build_image("nothing").returncode == 2

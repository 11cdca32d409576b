# SPDX-License-Identifier: GPL-3.0-or-later
"""A runner of CI jobs for tests: their scripts in a Debian tree, and stand-ins for the rest.

It does what a runner of GitHub or of GitLab does with a job in a container, as far as the files of
docs/ci ask for it, and refuses what it does not know.
"""

import json
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from bench import proxies_of_host

from gnoppix_build.effects.apt_mirrors import host_mirrors

PROJECT = Path(__file__).parents[2]
CHECKOUT = "/builds/project"
TEMPORARY = "/builds/temporary"
PLAIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PYTHON_OF_TRIXIE = "3.13"
NOT_IN_A_CHECKOUT = (".venv", ".git", ".cache", "out", "__pycache__", ".*_cache", "*.egg-info")
EXPRESSION = re.compile(r"\$\{\{\s*([^{}]*?)\s*\}\}")
# Arguments: tree, a folder for what changes, the folder of checkouts, and the command. The mounts
# are this process's alone.
ENTER = """
set -e
root=$2/root
mkdir -p "$2/upper" "$2/scratch" "$root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/scratch" overlay "$root"
mkdir -p "$root/builds" "$root/wheels"
mount --bind "$3" "$root/builds"
mount --bind "$4" "$root/wheels"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
touch "$root/etc/resolv.conf"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
shift 4
exec chroot "$root" "$@"
"""


@dataclass(frozen=True)
class Ran:
    """A script that was run to its end."""

    name: str
    status: int
    said: str
    seconds: float


@dataclass
class Container:
    """A Debian tree, changed by the scripts that are run in it, with a checkout at `CHECKOUT`."""

    tree: Path
    work: Path
    wheels: Path
    ran: list[Ran] = field(default_factory=list)

    @property
    def checkout(self) -> Path:
        return self._shared / Path(CHECKOUT).name

    @property
    def temporary(self) -> Path:
        return self._shared / Path(TEMPORARY).name

    @property
    def _shared(self) -> Path:
        return self.work / "builds"

    def start(self) -> None:
        """Make the container as a registry's image of Debian is, on the mirror of this host."""
        mirrors = host_mirrors()
        apt = self.work / "upper" / "etc" / "apt"
        (apt / "sources.list.d").mkdir(parents=True)
        (apt / "apt.conf.d").mkdir()
        stanzas = (
            f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n"
            "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
            for uri, suite in ((mirrors.main, "trixie"), (mirrors.security, "trixie-security"))
        )
        (apt / "sources.list.d" / "debian.sources").write_text("\n".join(stanzas))
        settings = {**mirrors.options, "Dpkg::Options::": "--force-unsafe-io"}
        lines = (f'{name} "{value}";\n' for name, value in settings.items())
        (apt / "apt.conf.d" / "runner").write_text("".join(lines))
        self.temporary.mkdir(parents=True)

    def run(self, name: str, script: str, environment: Mapping[str, str]) -> Ran:
        """Run a script as `sh -e` does, with nothing of this host in its environment."""
        (self.temporary / "script").write_text(script)
        start = time.monotonic()
        done = subprocess.run(
            (
                *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
                *("sh", "-c", ENTER, "sh", self.tree, self.work, self._shared, self.wheels),
                *("env", "--chdir", CHECKOUT, "sh", "-e", f"{TEMPORARY}/script"),
            ),
            env={
                "PATH": PLAIN_PATH,
                "HOME": "/root",
                "DEBIAN_FRONTEND": "noninteractive",
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": "/wheels",
                **proxies_of_host(),
                **environment,
            },
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        ran = Ran(name, done.returncode, done.stdout, time.monotonic() - start)
        self.ran.append(ran)
        return ran

    def run_gitlab_job(self, job: Mapping[str, Any], variables: Mapping[str, str]) -> Ran:
        """Run a job's script as one, as GitLab's runner does."""
        return self.run("script", "\n".join(job["script"]), variables)


def fetch_wheels(folder: Path) -> None:
    """Bring what pip will want in the container, with the settings that this host has for pip."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *extras["build"],
        *extras["verify"],
    ]
    platforms = (f"--platform=manylinux{each}_x86_64" for each in ("2014", "_2_17", "_2_28"))
    subprocess.run(
        (
            *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder),
            *("--only-binary=:all:", f"--python-version={PYTHON_OF_TRIXIE}", *platforms),
            *wanted,
        ),
        check=True,
    )


def build_wheel(checkout: Path, wheels: Path) -> str:
    """Make the wheel of this project beside those that `fetch_wheels` brought, and name it."""
    copy_checkout(checkout)
    subprocess.run(
        (
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"),
            *("--find-links", wheels, "--wheel-dir", wheels, checkout),
        ),
        check=True,
    )
    (wheel,) = wheels.glob("gnoppix_build-*.whl")
    return wheel.name


def put_or_remove(path: Path, text: str | None) -> None:
    """Write a file, or take a file or folder away."""
    if text is not None:
        path.write_text(text)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def copy_checkout(target: Path) -> None:
    """Copy what git would check out, in the place of an earlier checkout."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(PROJECT, target, ignore=shutil.ignore_patterns(*NOT_IN_A_CHECKOUT))


def read_workflow(name: str) -> dict[str, Any]:
    """Read a file of docs/ci; YAML 1.1 takes GitHub's key `on` for a truth value."""
    workflow: dict[str, Any] = yaml.safe_load((PROJECT / "docs" / "ci" / name).read_text())
    return workflow


class GitHub:
    """Runs the jobs of a workflow one after the other; `kept` holds what `uses` steps store.

    `restored` is the key of the cache that the last job was given; `committed` maps paths to the
    texts of files that a checkout has besides this project's, or to None for what it lacks.
    """

    def __init__(
        self,
        workflow: Mapping[str, Any],
        kept: Path,
        committed: Mapping[str, str | None] | None = None,
    ) -> None:
        self._committed = committed or {}
        self._workflow = workflow
        self._kept = kept
        self._caches = kept.with_name(f"{kept.name}-caches")
        self._unsaved: dict[str, str] = {}
        self.restored: str | None = None
        self._needs: dict[str, Any] = {}

    def run_job(
        self,
        name: str,
        container: Container,
        *,
        matrix: Mapping[str, Any] | None = None,
        instead: Mapping[str, str] | None = None,
    ) -> Mapping[str, str]:
        """Run a job, other scripts for the steps named in `instead`; gives its outputs."""
        job = self._workflow["jobs"][name]
        context: dict[str, Any] = {"matrix": matrix or {}, "needs": self._needs, "steps": {}}
        environment = {**self._workflow["env"], **job.get("env", {})}
        failed: Ran | None = None
        for step in job["steps"]:
            assert step.keys() <= {"name", "id", "if", "uses", "with", "run"}, step
            if failed and step.get("if") != "always()":
                continue
            if "uses" in step:
                options = {
                    key: evaluate(each, context) for key, each in step.get("with", {}).items()
                }
                self._use(step["uses"], options, container)
                continue
            script = (instead or {}).get(step["name"], step["run"])
            ran, outputs = self._run_step(
                {**step, "run": script}, evaluate_all(environment, context), container
            )
            context["steps"][step.get("id")] = {"outputs": outputs}
            failed = ran if ran.status else failed
        assert failed is None, f"{failed.name}\n{failed.said}"
        self._save_cache(container)
        outputs = evaluate_all(job.get("outputs", {}), context)
        self._needs[name] = {"outputs": outputs}
        return outputs

    def matrix_of(self, job: str) -> list[dict[str, Any]]:
        """Give the variants of a job."""
        wanted = self._workflow["jobs"][job]["strategy"]["matrix"]
        matrix = evaluate(wanted, {"needs": self._needs})
        assert matrix.keys() == {"include"}
        include: list[dict[str, Any]] = matrix["include"]
        return include

    def _run_step(
        self, step: Mapping[str, Any], environment: Mapping[str, str], container: Container
    ) -> tuple[Ran, Mapping[str, str]]:
        path = container.temporary / "path"
        files = {"GITHUB_PATH": path, "GITHUB_OUTPUT": container.temporary / "output"}
        files["GITHUB_OUTPUT"].write_text("")
        added = path.read_text().split() if path.exists() else []
        inside = {name: f"{TEMPORARY}/{file.name}" for name, file in files.items()}
        search = {"PATH": ":".join((*reversed(added), PLAIN_PATH))}
        ran = container.run(step["name"], step["run"], {**environment, **inside, **search})
        lines = files["GITHUB_OUTPUT"].read_text().splitlines()
        return ran, dict(line.split("=", 1) for line in lines)

    def _use(self, action: str, options: Mapping[str, str], container: Container) -> None:
        """Do what an action does, as far as the workflow can tell."""
        checkout = container.checkout
        match action.partition("@")[0].removeprefix("actions/"):
            case "checkout":
                copy_checkout(checkout)
                for path, text in self._committed.items():
                    put_or_remove(checkout / path, text)
            case "upload-artifact":
                pattern = options["path"]
                base = Path(pattern.partition("*")[0])
                artifact = self._kept / options["name"]
                copy_matches(
                    checkout, pattern if "*" in pattern else f"{pattern}/**/*", base, artifact
                )
            case "download-artifact":
                copy_matches(
                    self._kept / options["name"], "**/*", Path(), checkout / options["path"]
                )
            case "cache":
                self._restore_cache(options, checkout)
            case other:
                raise AssertionError(other)

    def _restore_cache(self, options: Mapping[str, str], checkout: Path) -> None:
        """Take what was kept by the key, or else the newest by the start of one."""
        exact = self._caches / options["key"]
        others = sorted(
            self._caches.glob(f"{options['restore-keys']}*"), key=lambda each: each.stat().st_mtime
        )
        found = exact if exact.exists() else others[-1] if others else None
        self.restored = found.name if found else None
        self._unsaved = {} if found == exact else {options["key"]: options["path"]}
        if found:
            shutil.copytree(found, checkout / options["path"])

    def _save_cache(self, container: Container) -> None:
        """Keep what the job has at the path of the cache, after its end, as the action does."""
        for key, path in self._unsaved.items():
            shutil.copytree(container.checkout / path, self._caches / key)
        self._unsaved = {}


def copy_matches(source: Path, pattern: str, base: Path, target: Path) -> None:
    """Copy the files that match, by their paths below `source / base`."""
    found = [path for path in source.glob(pattern) if path.is_file()]
    assert found, f"{source}: {pattern}"
    for path in found:
        place = target / path.relative_to(source / base)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def evaluate_all(values: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(evaluate(value, context)) for name, value in values.items()}


def evaluate(value: Any, context: Mapping[str, Any]) -> Any:
    """Put in what expressions stand for; one that is the whole value keeps its type."""
    if not isinstance(value, str):
        return value
    if whole := EXPRESSION.fullmatch(value):
        return look_up(whole[1], context)
    return EXPRESSION.sub(lambda found: str(look_up(found[1], context)), value)


def look_up(expression: str, context: Mapping[str, Any]) -> Any:
    if called := re.fullmatch(r"fromJSON\((.*)\)", expression):
        return json.loads(look_up(called[1], context))
    found: Any = context
    for name in expression.split("."):
        found = found[name]
    return found

# SPDX-License-Identifier: GPL-3.0-or-later
"""A component's `files/` to the files of the image."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from gnoppix_build.catalog.model import batch_of, path_of_model
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.egress import format_egress_chain
from gnoppix_build.policy.model import Policy
from gnoppix_build.policy.ruleset import format_closed_ruleset, format_ruleset
from gnoppix_build.policy.sandbox import format_drop_in, path_of_drop_in
from gnoppix_build.policy.status import format_status
from gnoppix_build.render.encoders import ENCODERS
from gnoppix_build.render.leaks import leak_files
from gnoppix_build.render.sources import ComponentReader, SourceFile
from gnoppix_build.render.tree import ImageFile
from gnoppix_build.resolve.model import Resolved, ResolvedComponent
from gnoppix_build.resolve.models import MODEL_PLACEHOLDER, ChosenModel, find_models

TEMPLATE_SUFFIX: Final = ".j2"
FILES_FOLDER: Final = "files"
_PLAIN_MODE: Final = 0o644
_EXECUTABLE_MODE: Final = 0o755
_GRUB_VARIABLE: Final = "GRUB_CMDLINE_LINUX_DEFAULT"

_Variables = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PolicyTexts:
    """The variable `policy` of a template; `carrier_` stands for the cards' own namespace."""

    ruleset: str
    carrier_ruleset: str
    closed_ruleset: str
    egress_chain: str
    carrier_egress_chain: str
    status: str


@dataclass(frozen=True, slots=True)
class ModelVariables:
    """A language model as templates see it; sizes in bytes, context and batch in tokens."""

    name: str
    path: str
    sha256: str
    purpose: str
    context: int
    batch: int
    memory: int


def render_configuration(resolved: Resolved, reader: ComponentReader) -> tuple[ImageFile, ...]:
    """Render every component's files, sorted by path.

    Templates see `options` (their component's own, `-` as `_`), `components` (the options of every
    component by its name, for those that one requires), `profile`, `policy` (PolicyTexts) and
    `header`, a filter for each format in `encoders`, and `models` (ModelVariables, by name). With
    `{model}` in its path a template is rendered for each, as `model`. One that yields nothing gives
    no file: so a file depends on an option. No path may be brought twice: ask `check_paths`.
    """
    files: dict[str, ImageFile] = {}
    for file in render_files(resolved, reader):
        other = files.get(file.path)
        assert other is None, f"`{file.path}` is brought by {file.origin} and {other}"
        files[file.path] = file
    return tuple(files[path] for path in sorted(files))


def render_files(resolved: Resolved, reader: ComponentReader) -> Iterator[ImageFile]:
    """Render each file of each component, whether or not another brings the same path."""
    environment = _make_environment()
    policy = compile_policy(resolved)
    shared = {
        "components": {each.name: _option_variables(each) for each in resolved.components},
        "profile": _profile_variables(resolved),
        "policy": _policy_texts(resolved, policy),
        "models": _model_variables(resolved),
    }
    for component in resolved.components:
        header = (
            f"# Rendered by gnoppix-build: profile {resolved.name}, component {component.name}."
        )
        variables = {**shared, "options": _option_variables(component), "header": header}
        yield from _render_declarations(component, header)
        if resolved.target == "machine":
            yield from _render_arguments(component, header)
        yield from _render_leaks(component, header)
        yield from _render_sandboxes(component, policy, header)
        yield from _render_folder(component, reader, environment, variables)


def _policy_texts(resolved: Resolved, policy: Policy) -> PolicyTexts:
    return PolicyTexts(
        ruleset=format_ruleset(policy),
        carrier_ruleset=format_ruleset(policy, "carrier"),
        closed_ruleset=format_closed_ruleset(),
        egress_chain=format_egress_chain(policy),
        carrier_egress_chain=format_egress_chain(policy, "carrier"),
        status=format_status(resolved, policy),
    )


def _model_variables(resolved: Resolved) -> tuple[ModelVariables, ...]:
    found = sorted(find_models(resolved.components), key=lambda each: each.name)
    return tuple(map(_describe_model, found))


def _describe_model(model: ChosenModel) -> ModelVariables:
    return ModelVariables(
        name=model.name,
        path=path_of_model(model.name),
        sha256=model.sha256,
        purpose=model.declaration.purpose,
        context=model.context,
        batch=batch_of(model.declaration, model.context),
        memory=model.need.total,
    )


def _make_environment() -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        lstrip_blocks=True,
        trim_blocks=True,
    )
    environment.filters.update(ENCODERS)
    return environment


def _profile_variables(resolved: Resolved) -> Mapping[str, object]:
    scalars = ("name", "summary", "suite", "architecture", "locale", "keyboard", "target")
    return {"areas": resolved.areas, **{name: getattr(resolved, name) for name in scalars}}


def _option_variables(component: ResolvedComponent) -> Mapping[str, object]:
    return {name.replace("-", "_"): value for name, value in component.options.items()}


def _render_folder(
    component: ResolvedComponent,
    reader: ComponentReader,
    environment: SandboxedEnvironment,
    variables: _Variables,
) -> Iterator[ImageFile]:
    for source in sorted(reader.files_below(component.folder / FILES_FOLDER)):
        for path, own in _places_of(source, variables):
            content = source.content
            if source.path.endswith(TEMPLATE_SUFFIX):
                content = environment.from_string(content.decode()).render(own).encode()
                if not content:
                    continue
            yield ImageFile(
                path=path,
                content=content,
                mode=_mode_of(source),
                owner="root",
                group="root",
                origin=component.name,
            )


def _places_of(source: SourceFile, variables: _Variables) -> Iterator[tuple[str, _Variables]]:
    """Give each path that a file is rendered to, with what the template sees there."""
    path = f"/{source.path.removesuffix(TEMPLATE_SUFFIX)}"
    if MODEL_PLACEHOLDER not in path:
        yield path, variables
        return
    for model in variables["models"]:
        yield path.replace(MODEL_PLACEHOLDER, model.name), {**variables, "model": model}


def _render_declarations(component: ResolvedComponent, header: str) -> Iterator[ImageFile]:
    """Write what a manifest says of the kernel. Source: sysctl.d(5), modprobe.d(5)."""
    name = f"60-gnoppix-{component.name}.conf"
    settings = {
        key: value for each in component.contributions for key, value in each.sysctl.items()
    }
    blocked = {module for each in component.contributions for module in each.blocked_modules}
    lines = {
        f"/etc/sysctl.d/{name}": [f"{key} = {settings[key]}" for key in sorted(settings)],
        f"/etc/modprobe.d/{name}": [f"install {module} /bin/false" for module in sorted(blocked)],
    }
    for path, text in lines.items():
        if text:
            content = "\n".join((header, *text, "")).encode()
            yield ImageFile(path, content, _PLAIN_MODE, "root", "root", component.name)


def _render_arguments(component: ResolvedComponent, header: str) -> Iterator[ImageFile]:
    """Write what a machine's boot loader is to give the kernel; an image's is told by its layout.

    No argument has a character that a shell takes for its own within quotes. Source: "Simple
    configuration handling" of GRUB's manual; grub-mkconfig of Debian reads this folder.
    """
    arguments = [argument for each in component.contributions for argument in each.kernel_arguments]
    if arguments:
        line = f'{_GRUB_VARIABLE}="${_GRUB_VARIABLE} {" ".join(arguments)}"'
        content = f"{header}\n{line}\n".encode()
        path = f"/etc/default/grub.d/60-gnoppix-{component.name}.cfg"
        yield ImageFile(path, content, _PLAIN_MODE, "root", "root", component.name)


def _render_leaks(component: ResolvedComponent, header: str) -> Iterator[ImageFile]:
    for path, text in leak_files(component):
        content = f"{header}\n{text}".encode()
        yield ImageFile(path, content, _PLAIN_MODE, "root", "root", component.name)


def _render_sandboxes(
    component: ResolvedComponent, policy: Policy, header: str
) -> Iterator[ImageFile]:
    for service in policy.services:
        if service.component == component.name and service.has_sandbox:
            path = path_of_drop_in(service.unit)
            content = f"{header}\n{format_drop_in(policy, service)}".encode()
            yield ImageFile(path, content, _PLAIN_MODE, "root", "root", component.name)


def _mode_of(source: SourceFile) -> int:
    return _EXECUTABLE_MODE if source.is_executable else _PLAIN_MODE

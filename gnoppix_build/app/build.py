# SPDX-License-Identifier: GPL-3.0-or-later
"""Building: a plan is carried out step by step, and what the store has is not made again."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, assert_never

from gnoppix_build.plan.steps import (
    Apply,
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a step: `why` tells why it was made; `seconds` is 0 if it was kept."""

    step: str
    state: Literal["made", "kept"]
    why: str
    seconds: float


class Progress(Protocol):
    """Follows a build."""

    def running(self, step: Step, why: str) -> AbstractContextManager[None]:
        """Tell that a step runs, and how it ended."""

    def kept(self, step: Step) -> None:
        """Tell that the store has what the step would make."""

    def outcomes(self) -> tuple[Outcome, ...]:
        """Give what was told so far."""


class Workshop(Protocol):
    """Carries out actions; it knows the results of the steps before."""

    def find(self, step: Step) -> Path | None:
        """Give the step's result if the store has it, whole."""

    def why_missing(self, step: Step) -> str:
        """Say what changed since the step's last result."""

    def fetch(self, step: Step, action: Fetch | FetchModel) -> None:
        """Bring .debs, or a model, into the pool."""

    def tree(self, step: Step, action: MakesTree) -> AbstractContextManager[Path]:
        """Make a tree that lasts as long as the block."""

    def pack_layer(self, step: Step, action: PackLayer, tree: Path) -> Path:
        """Pack a tree and keep the result."""

    def make_initrd(self, step: Step, action: MakeInitrd) -> Path:
        """Make the initrd and keep it."""

    def pack_output(self, step: Step, action: PackOutput) -> Path:
        """Pack the image and keep it."""


def carry_out(
    plan: Plan, workshop: Workshop, progress: Progress, *, until: str | None = None
) -> Mapping[str, Path]:
    """Make what the store lacks; gives step -> result. `until` names the last step wanted."""
    results: dict[str, Path] = {}
    for step in plan.steps:
        match step.action:
            case Fetch() | FetchModel() | Bootstrap() | Install() | Apply() | Unpack() | Place():
                continue  # their trees are made only when packing them turns out to be needed
            case PackLayer() | MakeInitrd() | PackOutput():
                results[step.id] = _keep_or_make(plan, step, step.action, workshop, progress)
            case _:
                assert_never(step.action)
        if step.id == until:
            break
    return results


def _keep_or_make(
    plan: Plan,
    step: Step,
    action: PackLayer | MakeInitrd | PackOutput,
    workshop: Workshop,
    progress: Progress,
) -> Path:
    found = workshop.find(step)
    if found is not None:
        progress.kept(step)
        return found
    why = workshop.why_missing(step)
    match action:
        case PackLayer():
            return _make_layer(plan, step, action, why, workshop, progress)
        case MakeInitrd():
            with progress.running(step, why):
                return workshop.make_initrd(step, action)
        case PackOutput():
            with progress.running(step, why):
                return workshop.pack_output(step, action)
        case _:
            assert_never(action)


def _make_layer(
    plan: Plan,
    step: Step,
    action: PackLayer,
    why: str,
    workshop: Workshop,
    progress: Progress,
) -> Path:
    for earlier in plan.steps:
        if isinstance(earlier.action, Fetch | FetchModel) and earlier.action.layer == action.layer:
            with progress.running(earlier, why):
                workshop.fetch(earlier, earlier.action)
    maker = plan.step(action.tree)
    assert isinstance(maker.action, MakesTree), maker.id
    with ExitStack() as stack:
        with progress.running(maker, why):
            tree = stack.enter_context(workshop.tree(maker, maker.action))
        with progress.running(step, "its tree was made anew"):
            return workshop.pack_layer(step, action, tree)

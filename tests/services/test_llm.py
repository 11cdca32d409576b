# SPDX-License-Identifier: GPL-3.0-or-later
"""Language models in a booted container: our units, sandbox and private root, a model that echoes.

What needs the image itself, its root as a squashfs and its network card, is left to verification.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from container import Container, ContainerShell
from llm_container import booted, resolve_lab

from gnoppix_build.catalog.load import COMPONENTS_FOLDER
from gnoppix_build.checks.context import CheckContext
from gnoppix_build.checks.finding import Finding
from gnoppix_build.checks.run import run_checks
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.targets.vm import GuestHost

pytestmark = pytest.mark.root

COMPONENTS = "llama-cpp: {threads: 1}\ntiny-echo: {}\n"
CHECKS = COMPONENTS_FOLDER / "llama-cpp" / "check_llama_cpp.py"
# A loop device, a recording of a card, a state to go back to; and nothing asks for a GPU.
NOT_IN_A_CONTAINER = {
    "test_altered_model_is_refused",
    "test_graphics_processor_is_used",
    "test_missing_model_is_an_error",
    "test_questions_cause_no_frame",
    "test_root_has_no_tls_library",
}


@dataclass(frozen=True)
class Lab:
    machine: Container
    folder: Path

    def findings(self) -> dict[str, Finding]:
        resolved = resolve_lab(COMPONENTS, self.folder)
        options = {each.name: each.options for each in resolved.components}
        host = GuestHost(ContainerShell(self.machine))
        context = CheckContext(host, options, compile_policy(resolved), resolved)
        found = run_checks({"llama-cpp": CHECKS}, "running", context)
        return {each.check: each for each in found}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("llm")
    with booted(folder, COMPONENTS) as machine:
        yield Lab(machine, folder)


def test_checks_hold_in_a_container(lab: Lab) -> None:
    findings = lab.findings()
    wrong = {name: each.evidence for name, each in findings.items() if each.outcome != "pass"}
    assert {name: why for name, why in wrong.items() if name not in NOT_IN_A_CONTAINER} == {}

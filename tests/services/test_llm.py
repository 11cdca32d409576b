# SPDX-License-Identifier: GPL-3.0-or-later
"""Language models in a booted container: our units, sandbox and private root, and known clients.

What needs the image itself, its root as a squashfs and its network card, is left to verification.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from container import ContainerShell
from llm_container import RUNTIME, LlmLab, booted, fetch_real_model
from openai import OpenAI

from gnoppix_build.catalog.load import COMPONENTS_FOLDER
from gnoppix_build.checks.context import CheckContext
from gnoppix_build.checks.programs import source_of
from gnoppix_build.checks.run import run_checks
from gnoppix_build.policy.compile import compile_policy
from gnoppix_build.policy.ruleset import format_ruleset
from gnoppix_build.targets.vm import GuestHost

pytestmark = pytest.mark.root

ECHO = "tiny-echo"
REAL = "smollm2-135m"
# The same file again: one gives vectors, one starts when its port is asked.
COPIES = ("tiny-port", "tiny-vectors")
COMPONENTS = """\
llama-cpp: {threads: 1, embeddings: [tiny-vectors], loopback: on, loopback-model: tiny-port}
smollm2-135m: {}
tiny-echo: {}
tiny-port: {}
tiny-vectors: {}
"""
PORT = 9931
VECTOR_LENGTH = 96
CHECKS = COMPONENTS_FOLDER / RUNTIME / "check_llama_cpp.py"
ASK = COMPONENTS_FOLDER / "ask/files/usr/bin/ask"
# A loop device, a recording of a card, a state to go back to; and nothing asks for a GPU.
NOT_IN_A_CONTAINER = {
    "test_altered_model_is_refused",
    "test_crash_leaves_no_trace",
    "test_graphics_processor_is_used",
    "test_missing_model_is_an_error",
    "test_models_answer_without_a_card",
    "test_questions_cause_no_frame",
    "test_root_has_no_tls_library",
}
IDLE_S = 3
SOON_IDLE = f"""[Service]
ExecStart=
ExecStart=/usr/lib/systemd/systemd-socket-proxyd --exit-idle-time={IDLE_S}s \
    /run/llama-cpp/tiny-port/llm.sock
"""
WAIT_S = 90.0
OTHER_CLIENT = f"""\
- model_id: port
  model_name: tiny-port
  api_base: http://127.0.0.1:{PORT}/v1
  api_key_name: none
"""


def findings_of(lab: LlmLab, **changed: str) -> dict[str, tuple[str, str]]:
    options = {each.name: {**each.options} for each in lab.resolved.components}
    options[RUNTIME] |= changed
    host = GuestHost(ContainerShell(lab.machine))
    context = CheckContext(host, options, compile_policy(lab.resolved), lab.resolved)
    found = run_checks({RUNTIME: CHECKS}, "running", context)
    return {each.check: (each.outcome, each.evidence) for each in found}


def client_of(lab: LlmLab, model: str) -> OpenAI:
    transport = httpx2.HTTPTransport(uds=lab.socket(model))
    return OpenAI(
        base_url="http://localhost/v1",
        api_key="none",
        http_client=httpx2.Client(transport=transport),
    )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlmLab]:
    folder = tmp_path_factory.mktemp("llm")
    own = folder / "components"
    for name in COPIES:
        shutil.copytree(COMPONENTS_FOLDER / ECHO, own / name)
    models = {REAL: fetch_real_model(REAL, folder)}
    with booted(folder, COMPONENTS, models, own) as started:
        yield started


def test_checks_hold_in_a_container(lab: LlmLab) -> None:
    findings = findings_of(lab)
    wrong = {name: what for name, what in findings.items() if what[0] != "pass"}
    assert {name: what for name, what in wrong.items() if name not in NOT_IN_A_CONTAINER} == {}
    assert len(findings) - len(wrong) >= 6


def test_check_of_the_sandbox_fails_without_its_settings(lab: LlmLab) -> None:
    """With a network of its own, more families and the system's files, the same check tells."""
    wide = "[Service]\nRestrictAddressFamilies=AF_INET\nBindPaths=/run:/run\n"
    path = f"/run/systemd/system/{RUNTIME}@.service.d/80-wide.conf"
    lab.machine.run("mkdir", "-p", path.rpartition("/")[0])
    lab.machine.run("tee", path, stdin=wide.encode())
    # The check reads the unit's own folder only.
    lab.machine.run("cp", path, f"/etc/systemd/system/{RUNTIME}@.service.d/80-wide.conf")
    try:
        outcome, evidence = findings_of(lab)["test_sandbox_reaches_no_network_and_no_other_socket"]
        assert outcome == "fail"
        assert "[2]" in evidence
    finally:
        lab.machine.run("rm", path, f"/etc/systemd/system/{RUNTIME}@.service.d/80-wide.conf")
        lab.machine.run("systemctl", "daemon-reload")


def test_check_of_graphics_processors_fails_where_there_is_none(lab: LlmLab) -> None:
    """It runs in a model's own sandbox, finds the processor alone, and says so."""
    finding = findings_of(lab, gpu="mesa")["test_graphics_processor_is_used"]
    assert finding == ("fail", "no device but the processor itself\nassert []")


def test_official_client_works_unchanged(lab: LlmLab) -> None:
    client = client_of(lab, ECHO)
    assert [model.id for model in client.models.list()] == [ECHO]
    question = "echo k3j9x2ab"
    answer = client.chat.completions.create(
        model=ECHO, messages=[{"role": "user", "content": question}], temperature=0, max_tokens=16
    )
    assert (answer.choices[0].message.content or "").strip() == "k3j9x2ab"
    stream = client.chat.completions.create(
        model=ECHO,
        messages=[{"role": "user", "content": question}],
        temperature=0,
        max_tokens=16,
        stream=True,
    )
    parts = [each.choices[0].delta.content or "" for each in stream if each.choices]
    assert "".join(parts).strip() == "k3j9x2ab"
    assert len([part for part in parts if part]) > 4, "a stream comes in parts"
    completed = client.completions.create(
        model=ECHO, prompt="user: echo zz9\nbot:", temperature=0, max_tokens=4
    )
    assert completed.choices[0].text.strip().startswith("zz9")


def test_real_model_answers_in_the_same_sandbox(lab: LlmLab) -> None:
    """The same root and units with a model of 135 million parameters: the answer is a stream."""
    question = "What is the capital of France? Answer in one short sentence."
    stream = client_of(lab, REAL).chat.completions.create(
        model=REAL,
        messages=[{"role": "user", "content": question}],
        temperature=0,
        max_tokens=24,
        stream=True,
    )
    parts = [each.choices[0].delta.content for each in stream if each.choices]
    assert "Paris" in "".join(part for part in parts if part)
    assert len(parts) > 4


def test_official_client_gets_vectors(lab: LlmLab) -> None:
    client = client_of(lab, "tiny-vectors")
    texts = ["echo one", "echo two", "echo one"]
    vectors = client.embeddings.create(model="tiny-vectors", input=texts).data
    one, two, again = (each.embedding for each in vectors)
    assert len(one) == VECTOR_LENGTH
    assert sum(a * b for a, b in zip(one, again, strict=True)) == pytest.approx(1, abs=1e-3)
    assert sum(a * b for a, b in zip(one, two, strict=True)) < 1 - 1e-3


def test_what_is_off_answers_nothing(lab: LlmLab) -> None:
    http = httpx2.Client(transport=httpx2.HTTPTransport(uds=lab.socket(ECHO)))
    page = {"Origin": "https://evil.example"}
    statuses = {
        path: http.get(f"http://localhost{path}", headers=page).status_code
        for path in ("/", "/slots", "/metrics", "/index.html")
    }
    assert {status for status in statuses.values() if status < 400} == set(), statuses
    changed = http.post("http://localhost/props", json={"total_slots": 2})
    assert changed.status_code >= 400
    answer = http.get("http://localhost/v1/models", headers=page)
    assert "evil" not in answer.headers.get("Access-Control-Allow-Origin", "")
    assert answer.headers.get("Access-Control-Allow-Origin") != "*"
    assert answer.headers.get("Access-Control-Allow-Credentials", "false") != "true"


def test_model_behind_a_port_starts_when_asked_and_ends_when_idle(
    lab: LlmLab, tmp_path: Path
) -> None:
    """The other client, `llm`, by the loopback port."""
    unit = f"{RUNTIME}@tiny-port.service"
    folder = f"/etc/systemd/system/{RUNTIME}-port.service.d"
    lab.machine.run("tee", f"{folder}/90-soon.conf", stdin=SOON_IDLE.encode())
    lab.machine.run("systemctl", "daemon-reload")
    assert state_of(lab, unit) == "inactive"
    (tmp_path / "extra-openai-models.yaml").write_text(OTHER_CLIENT)
    done = subprocess.run(
        lab.network.command(
            *(Path(sys.executable).parent / "llm", "--model", "port", "--no-log", "echo k3j9x2ab"),
            *("-o", "temperature", "0", "-o", "max_tokens", "16"),
        ),
        env={**os.environ, "LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "k3j9x2ab", done.stderr
    # A slow client may take longer to end than the model stays.
    since = ("systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", unit)
    assert int(lab.machine.run(*since)) > 0
    deadline = time.monotonic() + WAIT_S
    while state_of(lab, unit) != "inactive":
        assert time.monotonic() < deadline, lab.machine.try_run("systemctl", "status").stdout
        time.sleep(0.5)
    assert state_of(lab, f"{RUNTIME}@{ECHO}.service") == "active"
    # Whoever would come by its socket finds none, and goes by the port.
    ask = ("python3", "-I", "-c", ASK.read_text(), "--model", "tiny-port", "--tokens", "16")
    said = lab.machine.try_run(*ask, "echo k3j9x2ab", stdin=b"")
    assert said.stdout.strip() == "k3j9x2ab", said.stderr
    assert said.stderr.startswith("starting `tiny-port`\n")


@contextmanager
def firewall(lab: LlmLab) -> Iterator[None]:
    """Load the profile's ruleset into the container's network; its users are none of the host's."""
    policy = compile_policy(lab.resolved)
    ruleset = format_ruleset(policy)
    for user in policy.users:
        ruleset = ruleset.replace(f'"{user.name}"', str(user.uid))
    load = lab.network.command("nft", "--file", "-")
    subprocess.run(load, input=ruleset, text=True, check=True)
    yield
    lab.network.run("nft", "delete", "table", "inet", "gnoppix")


def ask_at_port(lab: LlmLab, user: int) -> subprocess.CompletedProcess[str]:
    """Have an ordinary client list the models and ask, as a user."""
    address = f"OPENAI_BASE_URL=http://127.0.0.1:{PORT}/v1"
    person = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "env", address)
    command = (*person, "python3", "-I", "-c", source_of("ask_at_address"), "chat")
    return lab.machine.try_run(*command)


def test_port_is_open_by_the_firewall_but_to_those_who_send_nothing(lab: LlmLab) -> None:
    """Systemd makes the socket and hands it over to a unit with no network of its own."""
    with firewall(lab):
        said = ask_at_port(lab, 1000)
        assert said.returncode == 0, said.stderr
        answer = json.loads(said.stdout)
        assert answer["models"] == ["tiny-port"]
        assert answer["characters"] > 0
        users = {each.name: each.uid for each in compile_policy(lab.resolved).users}
        for name in (RUNTIME, "llm-port"):
            assert "Connection refused" in ask_at_port(lab, users[name]).stderr
        unit = ("systemctl", "show", "--property=MainPID", "--value", f"{RUNTIME}-port.service")
        process = lab.machine.run(*unit).strip()
        interfaces = lab.machine.run("cat", f"/proc/{process}/net/dev").splitlines()[2:]
        assert [line.partition(":")[0].strip() for line in interfaces] == ["lo"]
        own, everybodys = (
            lab.machine.run("readlink", f"/proc/{each}/ns/net") for each in (process, "1")
        )
        assert own != everybodys


def state_of(lab: LlmLab, unit: str) -> str:
    return lab.machine.try_run("systemctl", "is-active", unit).stdout.strip()


def test_altered_and_missing_models_are_errors(lab: LlmLab) -> None:
    unit = f"{RUNTIME}@tiny-vectors.service"
    path = "/usr/share/gnoppix/models/tiny-vectors.gguf"
    lab.machine.run("dd", f"of={path}", "bs=1", "seek=99999", "conv=notrunc", stdin=b"x")
    assert lab.machine.try_run("systemctl", "restart", unit).returncode != 0
    assert state_of(lab, unit) in {"inactive", "failed"}
    lab.machine.run("rm", path)
    assert lab.machine.try_run("systemctl", "restart", unit).returncode != 0
    said = lab.machine.run("journalctl", "--unit", f"{RUNTIME}-verify@tiny-vectors.service")
    assert f"{path}: FAILED\n" in said
    assert f"{path}: FAILED open or read" in said

# SPDX-License-Identifier: GPL-3.0-or-later
"""What `llama-cpp` promises of a system."""

import errno
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from gnoppix_build.checks.programs import command_of, source_of
from gnoppix_build.checks.traces import traces_of
from gnoppix_build.checks.twin import run_in_sandbox, write

ROOT_IMAGE = "/usr/lib/gnoppix/private-roots/llama-cpp.squashfs"
MODELS = "/usr/share/gnoppix/models"
DIGESTS = "/usr/share/gnoppix/llm/digests"
TEMPLATE = "/etc/systemd/system/llama-cpp@.service"
SANDBOX = f"{TEMPLATE}.d/60-gnoppix-sandbox.conf"
SOCKETS = "/run/llama-cpp/"
ECHO = "tiny-echo"
QUESTIONS = 20
# What a crypto library of a size worth the name is called. The stand-ins are a few kilobytes.
TLS_NAMES = ("libssl", "libcrypto", "libgnutls", "libnss3", "libmbedtls", "libwolfssl")
STAND_IN_BYTES = 16384
GPU_NODES = "/dev/(dri/renderD|kfd|nvidia)"
BEFORE = "/run/gnoppix-before"
PLANTED = "/var/gnoppix-planted"
PROBE = "/run/gnoppix-llm-probe.py"
# The system's own Python, in a root that has none: the loader is told where its libraries are.
PYTHON = (
    "/models/usr/lib64/ld-linux-x86-64.so.2 --library-path /models/usr/lib/x86_64-linux-gnu "
    "/models/usr/bin/python3 -I -S /models/probe.py"
)
# Of two settings for one path systemd applies one: `ExecPaths=/models` would leave out the model's
# `TemporaryFileSystem=/models`, and with it the place for what is brought there.
PROBE_SETTINGS = f"""\
BindReadOnlyPaths=
BindReadOnlyPaths=/usr:/models/usr
BindReadOnlyPaths={PROBE}:/models/probe.py
ExecPaths=/models/usr
MemoryMax=256M
ExecStart={PYTHON}
"""
LIST_DEVICES = "ExecStart=/usr/bin/llama-server --list-devices\n"


def sockets_of(policy: Any) -> list[str]:
    """Give the declared sockets of the models, by path."""
    return [each.path for each in policy.sockets if each.path.startswith(SOCKETS)]


def models_of(policy: Any) -> list[str]:
    """Name the models."""
    return [path.removeprefix(SOCKETS).partition("/")[0] for path in sockets_of(policy)]


@dataclass(frozen=True)
class Model:
    """A model to ask, and what it does with a word: see the program `ask_for_echoes`."""

    name: str
    form: str

    @property
    def socket(self) -> str:
        """Give its socket."""
        return f"{SOCKETS}{self.name}/llm.sock"

    @property
    def questions(self) -> int:
        """Give how many questions show something; one that thinks has no time for twenty."""
        return QUESTIONS if self.form == "echo" else 1

    def start(self, host: Any) -> None:
        """Return when it answers."""
        host.check_output(f"systemctl start llama-cpp-ready@{self.name}.service")


def resident_models(profile: Any, policy: Any) -> list[Model]:
    """Give the models that are there from the start; one that repeats words is the first."""
    runtime = next(each for each in profile.components if each.name == "llama-cpp")
    options, names = runtime.options, models_of(policy)
    is_on_demand = options["loopback"] and options["idle-minutes"]
    on_demand = (options["loopback-model"] or names[0]) if is_on_demand else None
    vectors = {*options["embeddings"]} | {
        each.name
        for each in profile.components
        if each.manifest.model is not None and each.manifest.model.purpose == "embedding"
    }
    forms = {name: "vector" if name in vectors else "text" for name in names if name != on_demand}
    if forms.get(ECHO) == "text":
        forms[ECHO] = "echo"
    return sorted((Model(*each) for each in forms.items()), key=lambda each: each.form != "echo")


def resident_model(profile: Any, policy: Any) -> Model:
    """Give the model that shows what holds for all."""
    found = resident_models(profile, policy)
    if not found:
        pytest.skip("the profile's one model starts when its port is asked")
    return found[0]


def ask(host: Any, model: Model, times: int | None = None) -> list[str]:
    """Put random words to a model, and give them; every answer has to be right, or one at all."""
    model.start(host)
    wanted = model.questions if times is None else times
    command = command_of("ask_for_echoes", model.socket, str(wanted), model.form)
    lines = host.check_output(command).splitlines()
    pairs = {
        word: json.loads(answer) for word, _, answer in (line.partition(" ") for line in lines)
    }
    if model.form == "echo":
        assert [*pairs.values()] == [*pairs]
    else:
        assert [word for word, answer in pairs.items() if not answer] == []
    assert len(pairs) == wanted
    return [*pairs]


def settings_of(text: str) -> set[str]:
    """Give the lines of a unit file that set something."""
    return {line for line in text.splitlines() if "=" in line and not line.startswith("#")}


@pytest.mark.static
@pytest.mark.running
def test_runtime_has_its_numbers(host: Any) -> None:
    """The user of the models, and the group that may ask them, have the declared numbers."""
    assert host.user("llama-cpp").uid == 130
    assert host.group("llm").gid == 870


@pytest.mark.static
def test_files_are_those_of_the_digests(host: Any, policy: Any) -> None:
    """The file of each model has the digest that it is held against before each start."""
    for name in models_of(policy):
        line = host.file(f"{DIGESTS}/{name}.sha256").content_string
        digest = host.file(f"{MODELS}/{name}.gguf").sha256sum
        assert line == f"{digest}  {MODELS}/{name}.gguf\n"


@pytest.mark.static
def test_files_cannot_be_written(host: Any, policy: Any) -> None:
    """Models and the root that they run in belong to root, for everybody to read only."""
    for path in (ROOT_IMAGE, *(f"{MODELS}/{name}.gguf" for name in models_of(policy))):
        file = host.file(path)
        assert (file.user, file.group, file.mode) == ("root", "root", 0o444), path


@pytest.mark.static
def test_unit_has_its_sandbox(host: Any, options: Mapping[str, Any]) -> None:
    """The unit has a root of its own, no network, no log, and no way to write or to escape."""
    unit = settings_of(host.file(TEMPLATE).content_string)
    assert {
        f"RootImage={ROOT_IMAGE}",
        "BindLogSockets=no",
        "LimitCORE=0",
        "MemorySwapMax=0",
        "StandardError=null",
        "StandardOutput=null",
    } <= unit
    sandbox = settings_of(host.file(SANDBOX).content_string)
    assert {
        "CapabilityBoundingSet=",
        "NoNewPrivileges=yes",
        "PrivateNetwork=yes",
        "RestrictAddressFamilies=AF_UNIX",
        "SystemCallFilter=~@privileged @resources",
        "SystemCallFilter=~io_uring_enter io_uring_register io_uring_setup",
    } <= sandbox
    if options["gpu"] == "off":
        assert {"MemoryDenyWriteExecute=yes", "PrivateDevices=yes"} <= sandbox


@pytest.mark.static
def test_what_is_off_is_off(host: Any) -> None:
    """No interface for browsers, no agent, no state of others, no foreign origin, no download."""
    unit = settings_of(host.file(TEMPLATE).content_string)
    off = ("UI", "UI_MCP_PROXY", "AGENT", "ENDPOINT_SLOTS", "ENDPOINT_PROPS", "ENDPOINT_METRICS")
    wanted = {f"Environment=LLAMA_ARG_{name}=0" for name in (*off, "CORS_CREDENTIALS")}
    assert wanted <= unit
    assert {
        "Environment=LLAMA_ARG_OFFLINE=1",
        "Environment=LLAMA_ARG_CORS_ORIGINS=localhost",
    } <= unit
    assert not [line for line in unit if "TOOLS" in line or "MODELS_" in line]


@pytest.mark.running
def test_root_has_no_tls_library(host: Any) -> None:
    """What the models run in holds no program but theirs, and nothing that speaks TLS."""
    look = f"mount -o ro,loop {ROOT_IMAGE} /mnt && find /mnt -type f -printf '%s %P\\n'"
    listed = host.check_output("unshare --mount --propagation=private sh -c %s", look)
    sizes = {path: int(size) for size, _, path in map(_parted, listed.splitlines())}
    programs = {path for path in sizes if "/bin/" in f"/{path}" or "/sbin/" in f"/{path}"}
    assert programs == {"usr/bin/llama-bench", "usr/bin/llama-server"}
    names = {path: path.rpartition("/")[2] for path in sizes}
    big = [
        path
        for path, name in names.items()
        if name.startswith(TLS_NAMES) and sizes[path] > STAND_IN_BYTES
    ]
    assert big == []


def _parted(line: str) -> tuple[str, str, str]:
    return line.partition(" ")


@pytest.mark.running
@pytest.mark.offline
def test_models_answer(host: Any, profile: Any, policy: Any) -> None:
    """Every model answers; one that repeats words repeats twenty random ones."""
    resident_model(profile, policy)
    for model in resident_models(profile, policy):
        ask(host, model)


@pytest.mark.traffic
def test_models_answer_on_a_hostile_network(host: Any, lan: Any, profile: Any, policy: Any) -> None:
    """Random words are answered, and no frame that left holds one of them."""
    nonces = ask(host, resident_model(profile, policy))
    leaked = [nonce for nonce in nonces if any(nonce.encode() in each for each in lan.sent())]
    assert leaked == []


@pytest.mark.running
def test_socket_is_for_its_group(host: Any, policy: Any) -> None:
    """A model's socket belongs to its user and the group of those who may ask."""
    for path in sockets_of(policy):
        if not host.file(path).exists:
            continue  # a model that starts when it is asked
        said = host.check_output("stat -c %s %s", "%U %G %a", path)
        assert said == "llama-cpp llm 660"


@pytest.mark.running
@pytest.mark.offline
def test_sandbox_reaches_no_network_and_no_other_socket(
    host: Any, profile: Any, policy: Any
) -> None:
    """From inside of a model's sandbox there is one family of sockets, and one socket: its own."""
    model = resident_model(profile, policy)
    result = probe_sandbox(host, model)
    assert result["families"] == []
    assert errno.errorcode[result["ring"]] == "EPERM", "no socket is made by an io_uring"
    assert result["reached"] == [model.socket]
    assert result["tried"] > 1, "the system's other sockets were tried"


def probe_sandbox(host: Any, model: Model) -> Mapping[str, Any]:
    """Run the probe in a unit that is a model's in everything but its program."""
    model.start(host)
    # The eighth field is a name of any bytes.
    rows = host.run("cat /proc/net/unix").stdout_bytes.split(b"\n")[1:]
    fields = [row.split(maxsplit=7) for row in rows]
    names = {each[7].decode("utf-8", "surrogateescape") for each in fields if len(each) > 7}
    question = {"sockets": sorted(names), "skip": ["/models", "/proc"]}
    write(host, PROBE, source_of("try_sockets"))
    try:
        said = run_in_sandbox(host, TEMPLATE, model.name, PROBE_SETTINGS, json.dumps(question))
    finally:
        host.run(f"rm {PROBE}")
    result: Mapping[str, Any] = json.loads(said)
    return result


@pytest.mark.running
def test_questions_are_found_nowhere(host: Any, profile: Any, policy: Any) -> None:
    """After a question its words are in no journal, file, core or swap of the system."""
    model = resident_model(profile, policy)
    host.check_output(f"touch {BEFORE}")
    nonces = ask(host, model)
    host.run("journalctl --flush --sync")
    assert traces_of(host, nonces, BEFORE) == []
    # The search is able to find what is there.
    write(host, PLANTED, f"so {nonces[0]} was asked")
    # In a live system it is found where what was written is kept.
    found = traces_of(host, nonces, BEFORE)
    assert found
    assert [path for path in found if not path.endswith(PLANTED)] == []
    host.check_output(f"rm {PLANTED} {BEFORE}")


@pytest.mark.running
@pytest.mark.destructive
def test_crash_leaves_no_trace(host: Any, profile: Any, policy: Any) -> None:
    """A model that crashes leaves no picture of its memory, in which the questions are."""
    model = resident_model(profile, policy)
    host.check_output(f"touch {BEFORE}")
    nonces = ask(host, model)
    unit = f"llama-cpp@{model.name}.service"
    show = f"systemctl show --property=MainPID --value {unit}"
    crashed = host.check_output(show)
    host.check_output(f"systemctl kill --kill-whom=main --signal=SEGV {unit}")
    host.run(f"timeout 20 sh -c 'while [ -e /proc/{crashed} ]; do sleep 0.2; done'")
    assert host.check_output(show) != crashed
    host.run("journalctl --flush --sync")
    assert traces_of(host, nonces, BEFORE) == []


@pytest.mark.running
def test_no_core_is_kept(host: Any, policy: Any) -> None:
    """No model may write a core at all."""
    for name in models_of(policy):
        shown = host.check_output(f"systemctl show --property=LimitCORE llama-cpp@{name}.service")
        assert shown == "LimitCORE=0"


@pytest.mark.running
def test_graphics_processor_is_used(
    host: Any, profile: Any, policy: Any, options: Mapping[str, Any]
) -> None:
    """With `gpu`, the runtime finds such a processor, and a model that answers holds its node."""
    if options["gpu"] == "off":
        pytest.skip("the profile asks for no graphics processor")
    said = run_in_sandbox(host, TEMPLATE, models_of(policy)[0], LIST_DEVICES).splitlines()
    # One a line, as `Vulkan0: NAME (...)`; without any the line is `(none)`.
    devices = [line for line in said[said.index("Available devices:") + 1 :] if ":" in line]
    assert devices, "no device but the processor itself"
    model = resident_model(profile, policy)
    ask(host, model, 1)
    unit = f"llama-cpp@{model.name}.service"
    process = host.check_output(f"systemctl show --property=MainPID --value {unit}")
    opened = host.check_output(f"ls -l /proc/{process}/fd")
    assert re.search(GPU_NODES, opened), "the model computes on the processor itself"


@pytest.mark.running
@pytest.mark.destructive
def test_altered_model_is_refused(host: Any, profile: Any, policy: Any) -> None:
    """A file with a few bytes changed is not served, and no other is fetched."""
    name = resident_model(profile, policy).name
    path = f"{MODELS}/{name}.gguf"
    host.check_output(f"printf altered | dd of={path} bs=1 seek=99999 conv=notrunc status=none")
    said = host.run(f"systemctl restart llama-cpp@{name}.service")
    assert said.rc != 0
    assert not host.service(f"llama-cpp@{name}.service").is_running
    journal = host.check_output(f"journalctl --no-pager --unit llama-cpp-verify@{name}.service")
    assert f"{path}: FAILED" in journal


@pytest.mark.running
@pytest.mark.destructive
def test_missing_model_is_an_error(host: Any, wire: Any, profile: Any, policy: Any) -> None:
    """Without its file the model does not start, and nothing is sent to get another."""
    name = resident_model(profile, policy).name
    silence(host, wire, policy)

    def start_without() -> None:
        host.check_output(f"rm {MODELS}/{name}.gguf")
        assert host.run(f"systemctl restart llama-cpp@{name}.service").rc != 0

    assert wire.sent_during(start_without) == []
    assert not host.service(f"llama-cpp@{name}.service").is_running
    assert host.find_files("/models/*") == host.find_files(f"{MODELS}/{name}.gguf*") == []


@pytest.mark.running
@pytest.mark.destructive
def test_questions_cause_no_frame(host: Any, wire: Any, profile: Any, policy: Any) -> None:
    """While nothing else runs that may send, questions put no frame on the wire."""
    model = resident_model(profile, policy)
    ask(host, model, 1)
    silence(host, wire, policy)
    assert wire.sent_during(lambda: ask(host, model)) == []


@pytest.mark.running
@pytest.mark.destructive
def test_models_answer_without_a_card(host: Any, profile: Any, policy: Any) -> None:
    """When the machine has lost its network card, a model starts and answers as before."""
    model = resident_model(profile, policy)
    cards = host.run("ls -d /sys/class/net/*/device").stdout.split()
    assert cards, "there was a card"
    for card in cards:
        # It is a virtio device, which goes with the PCI device that it is on.
        device = host.check_output("readlink -f %s", card)
        bus = device if host.file(f"{device}/remove").exists else device.rpartition("/")[0]
        host.check_output("echo 1 > %s", f"{bus}/remove")
    assert host.run("ls -d /sys/class/net/*/device").stdout == ""
    host.check_output(f"systemctl stop llama-cpp@{model.name}.service")
    ask(host, model)


def silence(host: Any, wire: Any, policy: Any) -> None:
    """Stop whatever may send, and wait until the card is silent."""
    senders = {each.user for each in (*policy.direct, *policy.links, *policy.carried)}
    units = [
        each.unit for each in policy.services if each.user in senders and "@." not in each.unit
    ]
    host.run(f"systemctl stop '*.timer' {' '.join(shlex.quote(unit) for unit in units)}")
    for _ in range(20):
        if wire.sent_during(lambda: host.run("sleep 3")) == []:
            return
    raise AssertionError("the card is never silent, so nothing can be told")

# SPDX-License-Identifier: GPL-3.0-or-later
"""What `llama-cpp` promises of a system."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from typing import Any

import pytest

from gnoppix_build.checks.programs import command_of, source_of
from gnoppix_build.checks.traces import traces_of

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
BEFORE = "/run/gnoppix-before"
PLANTED = "/var/gnoppix-planted"
PROBE_UNIT = "gnoppix-llm-probe.service"
PROBE_RESULT = "/run/gnoppix-llm-probe.json"
PROBE_ERRORS = "/run/gnoppix-llm-probe.errors"
# The system's own Python, in a root that has none: the loader is told where its libraries are.
PYTHON = (
    "/models/usr/lib64/ld-linux-x86-64.so.2 --library-path /models/usr/lib/x86_64-linux-gnu "
    "/models/usr/bin/python3 -I -S /models/probe.py"
)
# Of two settings for one path systemd applies one: `ExecPaths=/models` would leave out the model's
# `TemporaryFileSystem=/models`, and with it the place for what is brought there.
PROBE_DROP_IN = f"""[Unit]
Requires=
[Service]
Type=oneshot
Restart=no
BindReadOnlyPaths=
BindReadOnlyPaths=/usr:/models/usr
BindReadOnlyPaths=/run/gnoppix-llm-probe.py:/models/probe.py
ExecPaths=/models/usr
Environment=PYTHONHOME=/models/usr
RuntimeDirectoryPreserve=yes
MemoryMax=256M
ExecStart=
ExecStart={PYTHON}
StandardInput=file:/run/gnoppix-llm-probe.sockets
StandardOutput=file:{PROBE_RESULT}
StandardError=file:{PROBE_ERRORS}
"""


def sockets_of(policy: Any) -> list[str]:
    """Give the declared sockets of the models, by path."""
    return [each.path for each in policy.sockets if each.path.startswith(SOCKETS)]


def models_of(policy: Any) -> list[str]:
    """Name the models."""
    return [path.removeprefix(SOCKETS).partition("/")[0] for path in sockets_of(policy)]


def require_echo(policy: Any, options: Mapping[str, Any]) -> str:
    """Give the socket of the model that repeats a word, once it answers."""
    if ECHO not in models_of(policy) or ECHO in options["embeddings"]:
        pytest.skip("the profile has no model that repeats words")
    return f"{SOCKETS}{ECHO}/llm.sock"


def ask(host: Any, socket: str, times: int = QUESTIONS) -> list[str]:
    """Have random words repeated, and give them; every answer has to be right."""
    host.check_output(f"systemctl start llama-cpp-ready@{ECHO}.service")
    command = command_of("ask_for_echoes", socket, str(times))
    lines = host.check_output(command).splitlines()
    pairs = [line.partition(" ") for line in lines]
    assert [answer for _, _, answer in pairs] == [nonce for nonce, _, _ in pairs]
    assert len(pairs) == times
    return [nonce for nonce, _, _ in pairs]


def write(host: Any, path: str, text: str) -> None:
    """Write a file."""
    host.check_output("printf %%s %s > %s", text, path)


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
        digest = hashlib.sha256(host.file(f"{MODELS}/{name}.gguf").content).hexdigest()
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
    } <= sandbox
    if not options["gpu"]:
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
def test_models_answer(host: Any, policy: Any, options: Mapping[str, Any]) -> None:
    """Twenty random words are repeated, each in an answer of its own."""
    ask(host, require_echo(policy, options))


@pytest.mark.traffic
def test_models_answer_on_a_hostile_network(
    host: Any, lan: Any, policy: Any, options: Mapping[str, Any]
) -> None:
    """Twenty random words are repeated, and no frame that left holds one of them."""
    nonces = ask(host, require_echo(policy, options))
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
def test_sandbox_reaches_no_network_and_no_other_socket(
    host: Any, policy: Any, options: Mapping[str, Any]
) -> None:
    """From inside of a model's sandbox there is one family of sockets, and one socket: its own."""
    own = require_echo(policy, options)
    result = probe_sandbox(host)
    assert result["families"] == []
    assert result["reached"] == [own]
    assert result["tried"] > 1, "the system's other sockets were tried"


def probe_sandbox(host: Any) -> Mapping[str, Any]:
    """Run the probe in a unit that is a model's in everything but its program."""
    host.check_output(f"systemctl start llama-cpp-ready@{ECHO}.service")
    # The eighth field is a name of any bytes.
    rows = host.run("cat /proc/net/unix").stdout_bytes.split(b"\n")[1:]
    fields = [row.split(maxsplit=7) for row in rows]
    names = {each[7].decode("utf-8", "surrogateescape") for each in fields if len(each) > 7}
    question = {"sockets": sorted(names), "skip": ["/models", "/proc"]}
    write(host, "/run/gnoppix-llm-probe.sockets", json.dumps(question))
    write(host, "/run/gnoppix-llm-probe.py", source_of("try_sockets"))
    host.check_output("chmod 0644 /run/gnoppix-llm-probe.sockets /run/gnoppix-llm-probe.py")
    parts = [TEMPLATE, *host.find_files(f"{TEMPLATE}.d/*.conf")]
    unit = "/run/systemd/system/" + PROBE_UNIT
    host.check_output(f"mkdir -p {unit}.d")
    for number, path in enumerate(parts):
        text = host.file(path).content_string.replace("%i", ECHO)
        lines = [line for line in text.splitlines() if not line.startswith(("Requires=", "After="))]
        target = unit if number == 0 else f"{unit}.d/{number}.conf"
        write(host, target, "\n".join((*lines, "")))
    write(host, f"{unit}.d/99-probe.conf", PROBE_DROP_IN)
    try:
        host.check_output("systemctl daemon-reload")
        started = host.run(f"systemctl start {PROBE_UNIT}")
        # Of evidence the beginning is kept: what the probe said last comes first.
        assert started.rc == 0, host.run(
            f"tail -n 2 {PROBE_ERRORS}; systemctl show -p Result,ExecMainStatus {PROBE_UNIT}"
        ).stdout
        result: Mapping[str, Any] = json.loads(host.file(PROBE_RESULT).content_string)
        return result
    finally:
        host.run(f"rm -rf {unit} {unit}.d {PROBE_RESULT} /run/gnoppix-llm-probe.*")
        host.run("systemctl daemon-reload")


@pytest.mark.running
def test_questions_are_found_nowhere(host: Any, policy: Any, options: Mapping[str, Any]) -> None:
    """After a question its words are in no journal, file, core or swap of the system."""
    socket = require_echo(policy, options)
    host.check_output(f"touch {BEFORE}")
    nonces = ask(host, socket)
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
def test_no_core_is_kept(host: Any, policy: Any) -> None:
    """A model that crashes leaves no picture of its memory."""
    for name in models_of(policy):
        shown = host.check_output(f"systemctl show --property=LimitCORE llama-cpp@{name}.service")
        assert shown == "LimitCORE=0"


@pytest.mark.running
def test_graphics_processor_is_used(host: Any, options: Mapping[str, Any]) -> None:
    """With `gpu`, the runtime finds a processor of that kind, in place of falling back silently."""
    if not options["gpu"]:
        pytest.skip("the profile asks for no graphics processor")
    command = (
        "systemd-run --quiet --wait --pipe --collect "
        f"-p RootImage={ROOT_IMAGE} -p MemoryPressureWatch=off -p PrivateNetwork=yes "
        "-p DynamicUser=yes -p SupplementaryGroups=render /usr/bin/llama-server --list-devices"
    )
    lines = host.check_output(command).splitlines()
    devices = lines[lines.index("Available devices:") + 1 :]
    assert devices, "no device but the processor itself"


@pytest.mark.running
@pytest.mark.destructive
def test_altered_model_is_refused(host: Any, policy: Any, options: Mapping[str, Any]) -> None:
    """A file with one byte changed is not served, and no other is fetched."""
    require_echo(policy, options)
    path = f"{MODELS}/{ECHO}.gguf"
    host.check_output(f"printf x | dd of={path} bs=1 seek=99999 conv=notrunc status=none")
    said = host.run(f"systemctl restart llama-cpp@{ECHO}.service")
    assert said.rc != 0
    assert not host.service(f"llama-cpp@{ECHO}.service").is_running
    journal = host.check_output(f"journalctl --no-pager --unit llama-cpp-verify@{ECHO}.service")
    assert f"{path}: FAILED" in journal


@pytest.mark.running
@pytest.mark.destructive
def test_missing_model_is_an_error(
    host: Any, wire: Any, policy: Any, options: Mapping[str, Any]
) -> None:
    """Without its file the model does not start, and nothing is sent to get another."""
    require_echo(policy, options)
    silence(host, wire, policy)

    def start_without() -> None:
        host.check_output(f"rm {MODELS}/{ECHO}.gguf")
        assert host.run(f"systemctl restart llama-cpp@{ECHO}.service").rc != 0

    assert wire.sent_during(start_without) == []
    assert not host.service(f"llama-cpp@{ECHO}.service").is_running
    assert host.find_files("/models/*") == host.find_files(f"{MODELS}/{ECHO}*") == []


@pytest.mark.running
@pytest.mark.destructive
def test_questions_cause_no_frame(
    host: Any, wire: Any, policy: Any, options: Mapping[str, Any]
) -> None:
    """While nothing else runs that may send, twenty questions put no frame on the wire."""
    socket = require_echo(policy, options)
    ask(host, socket, 1)
    silence(host, wire, policy)
    assert wire.sent_during(lambda: ask(host, socket)) == []


@pytest.mark.running
@pytest.mark.destructive
def test_models_answer_without_a_card(host: Any, policy: Any, options: Mapping[str, Any]) -> None:
    """When the machine has lost its network card, a model starts and answers as before."""
    socket = require_echo(policy, options)
    cards = host.run("ls -d /sys/class/net/*/device").stdout.split()
    assert cards, "there was a card"
    for card in cards:
        # It is a virtio device, which goes with the PCI device that it is on.
        device = host.check_output("readlink -f %s", card)
        bus = device if host.file(f"{device}/remove").exists else device.rpartition("/")[0]
        write(host, f"{bus}/remove", "1")
    assert host.run("ls -d /sys/class/net/*/device").stdout == ""
    host.check_output(f"systemctl stop llama-cpp@{ECHO}.service")
    ask(host, socket)


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

# SPDX-License-Identifier: GPL-3.0-or-later
"""What `remote-ai` promises of a system."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

UNIT = "remote-ai.service"
SOCKET = "/run/remote-ai/llm.sock"
PROVIDERS = "/etc/gnoppix/remote-ai.json"
KEY = "gnoppix-canary-5f0c1e"
MEMBER = "setpriv --reuid=65534 --regid=65534 --groups=871"
STRANGER = "setpriv --reuid=65534 --regid=65534 --clear-groups"
# Asks over the socket; prints the status, the mark and the body.
ASK = """
import http.client, socket, sys
connection = http.client.HTTPConnection("door")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.settimeout(90)
connection.sock.connect("/run/remote-ai/llm.sock")
method, path, *body = sys.argv[1:]
connection.request(method, path, *body)
answer = connection.getresponse()
print(answer.status, answer.headers["X-AI-Origin"])
print(answer.read().decode())
"""
# A key is encrypted for this machine, as a person would do it.
KEEP_KEY = (
    "mkdir -p -m 0700 /run/credstore.encrypted && printf %s {key} |"
    " systemd-creds encrypt --with-key=host --name={name} - /run/credstore.encrypted/{name}"
)
# Looks where others could: command lines, environments, the journal.
SEARCH = (
    "grep -l -s -a -F {key} /proc/[0-9]*/cmdline /proc/[0-9]*/environ;"
    " journalctl --no-pager | grep -F {key}"
)


def ask(host: Any, *words: str, who: str = MEMBER) -> Any:
    """Ask the door as somebody."""
    return host.run(f"{who} python3 -I -c %s" + " %s" * len(words), ASK, *words)


def providers(options: Mapping[str, Any]) -> list[list[str]]:
    """Give each provider's name, address and models."""
    return [line.split() for line in options["providers"]]


@pytest.mark.static
def test_image_has_no_key(host: Any, profile: Any) -> None:
    """Keys are no part of an image: they are encrypted on the machine itself."""
    if profile.target != "image":
        pytest.skip("a machine has keys of its own")
    folders = ("/etc/credstore*", "/usr/lib/credstore*", "/run/credstore*")
    found = [path for each in folders for path in host.find_files(f"{each}/*")]
    assert [path for path in found if "/remote-ai." in path] == []


@pytest.mark.static
def test_keys_are_taken_encrypted(host: Any, options: Mapping[str, Any]) -> None:
    """The gateway takes a key for each provider, which only this machine can read."""
    unit = host.file(f"/etc/systemd/system/{UNIT}").content_string.splitlines()
    loaded = [line for line in unit if "Credential" in line]
    names = [name for name, *_ in providers(options)]
    assert loaded == [f"LoadCredentialEncrypted=remote-ai.{name}" for name in names]


@pytest.mark.static
def test_each_model_is_of_one_provider(host: Any, options: Mapping[str, Any]) -> None:
    """A question goes to the one provider of its model, and every pin belongs to a provider."""
    written = json.loads(host.file(PROVIDERS).content_string)["providers"]
    assert [[p["name"], p["base_url"], *p["models"]] for p in written] == providers(options)
    models = [model for each in written for model in each["models"]]
    assert len({*models}) == len(models)
    pins = dict(line.split() for line in options["authorities"])
    assert {p["name"]: p["authority"] for p in written if p["authority"]} == pins


@pytest.mark.static
def test_service_has_no_network(host: Any) -> None:
    """The unit has a network without an interface, and no family of sockets but AF_UNIX."""
    drop_in = f"/etc/systemd/system/{UNIT}.d/60-gnoppix-sandbox.conf"
    lines = host.file(drop_in).content_string.splitlines()
    assert "PrivateNetwork=yes" in lines
    families = [line for line in lines if line.startswith("RestrictAddressFamilies=")]
    assert families == ["RestrictAddressFamilies=", "RestrictAddressFamilies=AF_UNIX"]


@pytest.mark.running
def test_door_is_for_its_group(host: Any, options: Mapping[str, Any]) -> None:
    """Members of `llm-remote` see which models there are, marked as remote; strangers nothing."""
    door = host.file(SOCKET)
    assert (door.user, door.group, door.mode) == ("remote-ai", "llm-remote", 0o660)
    refused = ask(host, "GET", "/v1/models", who=STRANGER)
    answered = ask(host, "GET", "/v1/models")
    assert "PermissionError" in refused.stderr
    head, body = answered.stdout.splitlines()
    assert head == "200 remote"
    models = [model for _, _, *models in providers(options) for model in models]
    assert [each["id"] for each in json.loads(body)["data"]] == models


@pytest.mark.running
def test_only_questions_are_passed_on(host: Any) -> None:
    """What is not a question to a model is refused, whoever asks."""
    said = ask(host, "POST", "/v1/files", "{}")
    assert said.stdout.splitlines()[0] == "403 remote"


@pytest.mark.running
def test_service_reaches_nothing_but_tor(host: Any) -> None:
    """The service's own network has no interface but `lo`, and the service no privilege."""
    ask(host, "GET", "/v1/models")
    pid = host.check_output(f"systemctl show --property=MainPID --value {UNIT}")
    assert pid != "0"
    links = host.check_output(f"nsenter --net --target={pid} ip -brief link")
    assert [line.split()[0] for line in links.splitlines()] == ["lo"]
    fields = host.check_output(f"cat /proc/{pid}/status")
    assert "CapBnd:\t0000000000000000" in fields
    assert "Seccomp:\t2" in fields


@pytest.mark.running
@pytest.mark.destructive
def test_key_stays_secret(host: Any, options: Mapping[str, Any]) -> None:
    """A key is used, and is in no command line, environment or log; without Tor there is an error.

    On a test's network there is no Tor: the answer is a fault that names it, within the limits.
    """
    name, _, model, *_ = providers(options)[0]
    question = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]})
    host.run(f"systemctl stop {UNIT}")
    without = ask(host, "POST", "/v1/chat/completions", question)
    assert without.stdout.splitlines()[0] == "503 remote"
    host.check_output(KEEP_KEY.format(key=KEY, name=f"remote-ai.{name}"))
    host.run(f"systemctl stop {UNIT}")
    asked = ask(host, "POST", "/v1/chat/completions", question)
    head, body = asked.stdout.splitlines()
    assert head in {"502 remote", "504 remote"}
    assert json.loads(body)["error"]["code"] == "tor"
    assert KEY not in body
    assert host.run(SEARCH.format(key=KEY)).stdout == ""

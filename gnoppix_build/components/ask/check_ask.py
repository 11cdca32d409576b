# SPDX-License-Identifier: GPL-3.0-or-later
"""What `ask` promises of a system."""

import json
import secrets
import shlex
from collections.abc import Mapping
from typing import Any

import pytest

from gnoppix_build.checks.programs import source_of
from gnoppix_build.checks.traces import traces_of

ENDPOINTS = "/usr/share/gnoppix/llm/endpoints.d"
BEFORE = "/run/gnoppix-before-ask"
SAY = 'python3 -c \'print("echo", bytes.fromhex("%s").decode())\''
# Few, for a machine that is emulated.
TOKENS = 12
STRANGER = "setpriv --reuid=65534 --regid=65534 --clear-groups"


def endpoints(host: Any) -> list[dict[str, Any]]:
    """Read which models can be asked."""
    files = host.find_files(f"{ENDPOINTS}/*.json")
    return [each for file in files for each in json.loads(host.file(file).content_string)]


def person(profile: Any) -> str:
    """Name somebody who logs in."""
    people = [
        user.name
        for component in profile.components
        for user in component.manifest.users
        if user.is_person and component.holds(user.when)
    ]
    if not people:
        pytest.skip("nobody of the profile logs in")
    return people[0]


@pytest.mark.static
def test_somebody_can_be_asked(host: Any) -> None:
    """Each model that can be asked has a socket, and says whether it is local."""
    found = endpoints(host)
    assert found
    assert {each["origin"] for each in found} <= {"local", "remote"}
    sockets = {(each["origin"], each["socket"]) for each in found}
    assert {path for origin, path in sockets if origin == "local"}.isdisjoint(
        path for origin, path in sockets if origin == "remote"
    )


@pytest.mark.running
def test_person_may_ask(host: Any, profile: Any, policy: Any) -> None:
    """Somebody who logs in is let in at the socket of each model; a stranger is told the group."""
    name = person(profile)
    open_paths = {
        each.path for each in policy.socket_matrix if each.user == name and each.is_admitted
    }
    assert {each["socket"] for each in endpoints(host)} <= open_paths
    groups = host.user(name).groups
    assert {group for group in groups if group.startswith("llm")}


@pytest.mark.running
def test_models_are_listed(host: Any) -> None:
    """Anybody sees which models there are, and which of them are not on this computer."""
    said = host.check_output(f"{STRANGER} ask --list --json")
    assert json.loads(said) == [{"port": None, **each} for each in endpoints(host)]


@pytest.mark.running
def test_local_question_never_becomes_a_remote_one(host: Any) -> None:
    """A model that is remote is not asked without a word for it, whatever else there is."""
    remote = [each["model"] for each in endpoints(host) if each["origin"] == "remote"]
    if not remote:
        pytest.skip("there is no remote model")
    said = host.run(f"{STRANGER} ask --model {remote[0]} hello </dev/null")
    assert said.rc == 1
    assert said.stderr == f"ask: `{remote[0]}` is remote: ask it with `--remote`\n"


@pytest.mark.running
def test_local_model_answers_a_person(host: Any, profile: Any) -> None:
    """A question is answered on this computer, which is said, and its word is found nowhere."""
    local = [
        each for each in endpoints(host) if each["origin"] == "local" and not each["embeddings"]
    ]
    if not local:
        pytest.skip("there is no local model")
    model = local[0]["model"]
    nonce = secrets.token_hex(12)
    host.check_output(f"touch {BEFORE}")
    command = f"ask --model {model} --tokens {TOKENS} --wait 300"
    said = host.run(f"{SAY % nonce.encode().hex()} | runuser -u {person(profile)} -- {command}")
    assert said.rc == 0, said.stderr
    assert said.stdout.strip()
    assert f"answered by `{model}`, on this computer" in said.stderr
    host.run("journalctl --flush --sync")
    assert traces_of(host, [nonce], BEFORE) == []
    host.check_output(f"rm {BEFORE}")


def port_options(profile: Any) -> Mapping[str, Any]:
    """Give the options of the runtime that has a port of this computer."""
    found = [
        each.options
        for each in profile.components
        if "llm-api" in each.manifest.provides and each.options.get("loopback")
    ]
    if not found:
        pytest.skip("no model has a port of this computer")
    return found[0]


@pytest.mark.running
def test_clients_are_led_to_the_port(host: Any, profile: Any) -> None:
    """Where a model has a port of this computer, a login shell carries its address."""
    port = port_options(profile)["port"]
    login = host.check_output("env -i sh -lc env").splitlines()
    found = sorted(line for line in login if line.startswith("OPENAI_"))
    assert found == ["OPENAI_API_KEY=none", f"OPENAI_BASE_URL=http://127.0.0.1:{port}/v1"]


@pytest.mark.running
def test_ordinary_client_gets_an_answer_at_the_port(host: Any, profile: Any) -> None:
    """A client that knows nothing but what a login gives it lists the models, and has an answer."""
    options = port_options(profile)
    local = {each["model"]: each for each in endpoints(host) if each["origin"] == "local"}
    model = options["loopback-model"] or min(local)
    form = "embeddings" if local[model]["embeddings"] else "chat"
    login = ("runuser", "-u", person(profile), "--", "env", "-i", "sh", "-lc", 'exec "$@"', "sh")
    client = ("python3", "-I", "-c", source_of("ask_at_address"), form)
    answer = json.loads(host.check_output(shlex.join((*login, *client))))
    assert answer["models"] == [model]
    assert answer["numbers" if form == "embeddings" else "characters"] > 0

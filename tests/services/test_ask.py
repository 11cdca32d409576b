# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that asks a model: as a program, against servers that behave as models do."""

import json
import os
import pty
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
PROGRAM = PROJECT / "gnoppix_build/components/ask/files/usr/bin/ask"
WAIT_S = 30.0
NOBODY = 65534
# The family of a socket as Python's event tells it.
FAMILY = re.compile(r"^socket\.__new__ <.*?> (\S+)", re.MULTILINE)
UNIX = str(int(socket.AF_UNIX))
# Writes down every socket, every file and every program that the command makes or opens.
WATCHED = """
import runpy, sys
def note(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.")) or event == "open":
        print(event, *map(repr, arguments), file=log, flush=True)
log = open(sys.argv[1], "w")
sys.argv = sys.argv[2:]
sys.addaudithook(note)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


TOO_LONG = (
    "ask: the question has more than 400 bytes, and the model takes no longer one: ask about "
    "less, or choose a model with more context (`ask --list`)\n"
)


@dataclass
class Model:
    """A model that answers as its behaviour says, and keeps what it was asked."""

    behave: Callable[["_Asked"], None]
    asked: list[dict[str, Any]] = field(default_factory=list)
    may_go_on: threading.Event = field(default_factory=threading.Event)


class _Asked(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Model

    def log_message(self, *_words: object) -> None:
        return

    def do_POST(self) -> None:
        self.close_connection = True
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.model.asked.append(json.loads(body))
        self.model.behave(self)

    def begin(self, status: int = 200, origin: str = "", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if origin:
            self.send_header("X-AI-Origin", origin)
        self.send_header("Connection", "close")
        self.end_headers()

    def event(self, document: Mapping[str, object] | str) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        self.wfile.write(f"data: {text}\n\n".encode())

    def piece(self, text: str, finish: str | None = None) -> None:
        choice = {"delta": {"content": text}, "finish_reason": finish}
        self.event({"model": "tiny", "choices": [choice]})

    def refuse(self, status: int, fault: Mapping[str, object], origin: str = "") -> None:
        body = json.dumps({"error": fault}).encode()
        self.begin(status, origin, Content_Length=str(len(body)))
        self.wfile.write(body)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self) -> tuple[socket.socket, str]:
        return super().get_request()[0], "somebody"

    def handle_error(self, *_words: object) -> None:
        return


@dataclass(frozen=True)
class System:
    """A system with models, on which the command runs."""

    folder: Path

    @property
    def endpoints(self) -> Path:
        return self.folder / "endpoints.d"

    def describe(self, name: str, origin: str = "local", **more: object) -> Path:
        """Say that there is a model; give its socket."""
        path = self.folder / f"{name}.sock"
        endpoint = {
            "name": name,
            "socket": str(path),
            "model": name,
            "context": 100,
            "origin": origin,
            "embeddings": False,
        }
        text = json.dumps([{**endpoint, **more}])
        (self.endpoints / f"{len(list(self.endpoints.iterdir()))}.json").write_text(text)
        return path

    def serve(
        self, name: str, behave: Callable[[_Asked], None], origin: str = "local", **more: object
    ) -> Model:
        """Have a model."""
        model = Model(behave)
        start_server(self.describe(name, origin, **more), model)
        return model

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-I", str(PROGRAM), "--endpoints", str(self.endpoints), *words]

    def ask(self, *words: str, said: bytes = b"") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*words), input=said, capture_output=True, check=False, env={}
        )
        return subprocess.CompletedProcess(
            words, done.returncode, done.stdout.decode(), done.stderr.decode()
        )


def start_server(path: Path, model: Model) -> None:
    server = _Server(str(path), type("Asked", (_Asked,), {"model": model}))
    threading.Thread(target=server.serve_forever, daemon=True).start()


def paris(asked: _Asked) -> None:
    asked.begin(origin="")
    asked.piece("The capital ")
    asked.piece("is Paris.")
    asked.piece("", "stop")
    asked.event("[DONE]")


def far_paris(asked: _Asked) -> None:
    asked.begin(origin="remote")
    asked.piece("Paris", "stop")
    asked.event("[DONE]")


@pytest.fixture
def system(tmp_path: Path) -> System:
    (tmp_path / "endpoints.d").mkdir()
    return System(tmp_path)


class _PortServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True


def test_model_without_a_socket_is_started_by_its_port(system: System) -> None:
    model = Model(paris)
    handler = type("Asked", (_Asked,), {"model": model})
    with _PortServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        socket_path = system.describe("tiny", port=server.server_address[1])
        assert not socket_path.exists()
        done = system.ask("what is the capital?")
        server.shutdown()
    assert done.stdout == "The capital is Paris.\n"
    assert done.stderr == "starting `tiny`\nanswered by `tiny`, on this computer\n"
    assert len(model.asked) == 1


def test_question_of_words_is_answered_and_told_by_whom(system: System) -> None:
    model = system.serve("tiny", paris)
    done = system.ask("what", "is", "the", "capital?")
    assert (done.returncode, done.stdout) == (0, "The capital is Paris.\n")
    assert done.stderr == "answered by `tiny`, on this computer\n"
    messages = [{"role": "user", "content": "what is the capital?"}]
    assert model.asked == [{"model": "tiny", "messages": messages, "stream": True}]


def test_question_is_put_together_from_everything(system: System, tmp_path: Path) -> None:
    model = system.serve("tiny", paris)
    (tmp_path / "notes.txt").write_text("milk\n")
    done = system.ask(
        *("--system", "be short", "-f", str(tmp_path / "notes.txt"), "sum", "up"), said=b"eggs\n"
    )
    assert done.returncode == 0
    assert model.asked[0]["messages"] == [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": "sum up\n\neggs\n\nnotes.txt:\n\nmilk"},
    ]


def test_length_of_an_answer_is_asked_for(system: System) -> None:
    def cut(asked: _Asked) -> None:
        asked.begin()
        asked.piece("The capital", "length")
        asked.event("[DONE]")

    model = system.serve("tiny", cut)
    done = system.ask("--tokens", "2", "what?")
    assert model.asked[0]["max_tokens"] == 2
    assert done.stderr.splitlines() == [
        "the answer is cut off: it is as long as was asked for",
        "answered by `tiny`, on this computer",
    ]
    refused = system.ask("--tokens", "0", "what?")
    assert refused.returncode == 2
    assert refused.stderr.endswith("--tokens: an answer has at least one token\n")


def test_answer_comes_as_it_is_made(system: System) -> None:
    def slowly(asked: _Asked) -> None:
        asked.begin()
        asked.piece("one")
        assert asked.model.may_go_on.wait(WAIT_S)
        asked.piece(" two", "stop")
        asked.event("[DONE]")

    model = system.serve("tiny", slowly)
    with subprocess.Popen(
        system.command("count"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(3) == b"one"
        model.may_go_on.set()
        assert process.stdout.read() == b" two\n"
    assert process.returncode == 0


def test_nothing_is_written_and_no_network_is_used(system: System, tmp_path: Path) -> None:
    system.serve("tiny", paris)
    log = tmp_path / "log"
    watched = [sys.executable, "-I", "-c", WATCHED, str(log), *system.command("hello")[2:]]
    subprocess.run(watched, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    events = log.read_text()
    assert {*FAMILY.findall(events)} == {UNIX}
    assert "socket.getaddrinfo" not in events
    lines = events.splitlines()
    changing = ("os.mkdir", "os.rename", "os.remove", "os.system", "subprocess.", "os.putenv")
    assert [line for line in lines if line.startswith(changing)] == []
    written = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    opened = [line.rsplit(" ", 2) for line in lines if line.startswith("open ")]
    assert opened
    assert [line for line in opened if int(line[2]) & written] == []


def test_json_is_one_object(system: System) -> None:
    system.serve("tiny", paris)
    done = system.ask("--json", "hello")
    assert json.loads(done.stdout) == {
        "text": "The capital is Paris.",
        "model": "tiny",
        "finish": "stop",
        "origin": "local",
    }


def test_models_are_listed(system: System) -> None:
    system.describe("tiny")
    system.describe("vectors", embeddings=True, context=512)
    system.describe("large", "remote", context=None)
    assert system.ask("--list").stdout == (
        "MODEL    WHERE          CONTEXT  FOR\n"
        "tiny     this computer  100      questions\n"
        "vectors  this computer  512      embeddings\n"
        "large    REMOTE: large  unknown  questions\n"
    )
    listed = json.loads(system.ask("--list", "--json").stdout)
    assert [each["model"] for each in listed] == ["tiny", "vectors", "large"]


def test_remote_model_is_asked_by_its_word_only_and_loudly(system: System) -> None:
    near, far = system.serve("tiny", paris), system.serve("large", far_paris, "remote")
    refused = system.ask("--model", "large", "hello")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "ask: `large` is remote: ask it with `--remote`\n"
    assert far.asked == []
    done = system.ask("--remote", "hello")
    assert (done.returncode, done.stdout) == (0, "Paris\n")
    assert done.stderr == (
        "REMOTE: what you ask goes to `large`, by way of Tor\n"
        "REMOTE: answered by `tiny` of `large`, by way of Tor\n"
    )
    assert near.asked == []


def test_nothing_falls_back_to_a_remote_model(system: System) -> None:
    far = system.serve("large", far_paris, "remote")
    system.describe("tiny")
    gone = system.ask("--wait", "0", "hello")
    assert gone.stderr == "ask: `tiny` is not running: `systemctl --failed` tells more\n"
    assert (gone.returncode, gone.stdout, far.asked) == (1, "", [])


@pytest.mark.parametrize(("said", "wanted"), [("remote", "local"), ("local", "remote")])
def test_answer_from_elsewhere_is_not_shown(system: System, said: str, wanted: str) -> None:
    system.serve("tiny", far_paris if said == "remote" else paris, wanted)
    done = system.ask(*(["--remote"] if wanted == "remote" else []), "hello")
    assert (done.returncode, done.stdout) == (1, "")
    fault = f"ask: `tiny` should be {wanted}, and its answer is {said}"
    assert done.stderr.splitlines()[-1] == fault


def test_model_that_loads_is_waited_for(system: System) -> None:
    def loading(asked: _Asked) -> None:
        if len(asked.model.asked) < 3:
            asked.refuse(503, {"message": "Loading model", "code": 503})
        else:
            paris(asked)

    model = system.serve("tiny", loading)
    done = system.ask("--wait", "30", "hello")
    assert (done.returncode, done.stdout) == (0, "The capital is Paris.\n")
    told = "waiting for `tiny`, at most 30 s\nanswered by `tiny`, on this computer\n"
    assert (done.stderr, len(model.asked)) == (told, 3)


def test_model_that_does_not_come_is_told(system: System) -> None:
    system.serve("tiny", lambda asked: asked.refuse(503, {"message": "Loading model"}))
    done = system.ask("--wait", "0", "hello")
    assert done.stderr == "ask: `tiny` is still loading: ask again later\n"


def test_model_that_starts_late_is_waited_for(system: System) -> None:
    path = system.describe("tiny")
    starting = threading.Timer(1, start_server, (path, Model(paris)))
    starting.start()
    done = system.ask("--wait", "30", "hello")
    starting.join()
    assert (done.returncode, done.stdout) == (0, "The capital is Paris.\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("hello",), "there is no local model: the profile of this system has not an AI runtime"),
        (
            ("--remote", "hello"),
            "there is no remote model: the profile of this system has not the way to remote models",
        ),
        (("-m", "no", "hello"), "there is no model `no`; there are: none"),
    ],
)
def test_system_without_models_says_so(
    system: System, words: tuple[str, ...], message: str
) -> None:
    assert system.ask(*words).stderr == f"ask: {message}\n"


def test_question_has_to_be_text_that_can_fit(system: System, tmp_path: Path) -> None:
    model = system.serve("tiny", paris)
    (tmp_path / "picture").write_bytes(b"\x89PNG\xff")
    (tmp_path / "zeros").write_bytes(b"\0" * 10)
    (tmp_path / "long").write_bytes("ä".encode() * 10_000)
    faults = [system.ask("-f", str(tmp_path / name)) for name in ("picture", "zeros", "long", "no")]
    assert [each.stderr for each in faults] == [
        f"ask: {tmp_path}/picture: this is not text in UTF-8\n",
        f"ask: {tmp_path}/zeros: this is not text\n",
        TOO_LONG,
        f"ask: {tmp_path}/no: No such file or directory\n",
    ]
    assert system.ask().stderr == (
        "ask: nothing is asked: give words, a file, or text at standard input\n"
    )
    assert model.asked == []


def test_question_that_the_model_counts_as_too_long_is_told(system: System) -> None:
    fault = {"message": "x", "n_prompt_tokens": 130, "n_ctx": 100}
    system.serve("tiny", lambda asked: asked.refuse(400, fault))
    assert system.ask("hello").stderr == (
        "ask: the question has 130 tokens, and `tiny` takes 100: ask about less, or choose a model "
        "with more context (`ask --list`)\n"
    )


def test_refusal_is_told_without_control_characters(system: System) -> None:
    fault = {"message": "no \x1b[2Jkey"}
    system.serve("large", lambda asked: asked.refuse(503, fault, "remote"), "remote")
    done = system.ask("--remote", "hello")
    assert done.stderr.splitlines()[-1] == "ask: `large` refuses the question: no [2Jkey"


def broken_off(asked: _Asked) -> None:
    asked.begin()
    asked.piece("only th")


def nonsense(asked: _Asked) -> None:
    asked.begin()
    asked.event("nonsense")


def not_an_answer(asked: _Asked) -> None:
    asked.begin()
    asked.event({"choices": [7]})


def fault_inside(asked: _Asked) -> None:
    asked.begin()
    asked.event({"error": {"message": "out of memory"}})


@pytest.mark.parametrize(
    ("behave", "shown", "message"),
    [
        (broken_off, "only th\n", "the answer broke off"),
        (nonsense, "", "the answer broke off: JSONDecodeError"),
        (not_an_answer, "", "the answer broke off: AttributeError"),
        (fault_inside, "", "the answer broke off: {'message': 'out of memory'}"),
    ],
)
def test_answer_that_breaks_off_is_no_answer(
    system: System, behave: Callable[[_Asked], None], shown: str, message: str
) -> None:
    system.serve("tiny", behave)
    done = system.ask("hello")
    assert (done.returncode, done.stdout, done.stderr) == (1, shown, f"ask: {message}\n")


@pytest.mark.parametrize("origin", ["local", "remote"])
def test_question_that_was_sent_is_not_sent_again(system: System, origin: str) -> None:
    """Neither to a model that it may have killed, nor to one that takes money for it."""
    model = system.serve("tiny", lambda asked: asked.connection.close(), origin)
    words = ("--remote",) if origin == "remote" else ()
    done = system.ask(*words, "--wait", "5", "hello")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "ask: no answer came: RemoteDisconnected"
    assert len(model.asked) == 1


def test_server_that_speaks_something_else_is_told(system: System) -> None:
    def greet(asked: _Asked) -> None:
        asked.wfile.write(b"220 mail\r\n")

    system.serve("tiny", greet)
    assert system.ask("hello").stderr == "ask: no answer came: BadStatusLine\n"


def test_end_without_a_word_is_no_answer(system: System) -> None:
    def only_thoughts(asked: _Asked) -> None:
        asked.begin()
        asked.event({"choices": [{"delta": {"reasoning_content": "hm"}, "finish_reason": None}]})
        asked.event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        asked.event("[DONE]")

    system.serve("tiny", only_thoughts)
    for words in (("hello",), ("--json", "hello")):
        done = system.ask(*words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "ask: `tiny` ended without an answer; it may have thought for too long\n"
        )


def test_words_that_are_no_text_are_refused(system: System) -> None:
    model = system.serve("tiny", paris)
    command = [os.fsencode(each) for each in system.command()]
    done = subprocess.run([*command, b"\xff?"], input=b"", capture_output=True, check=False, env={})
    assert (done.returncode, done.stderr) == (
        1,
        b"ask: the question: this is not text in UTF-8\n",
    )
    assert model.asked == []


def test_closed_standard_input_is_none(system: System) -> None:
    system.serve("tiny", paris)
    line = ("sh", "-c", 'exec "$@" <&-', "sh", *system.command("hello"))
    done = subprocess.run(line, capture_output=True, check=False, env={})
    assert (done.returncode, done.stdout) == (0, b"The capital is Paris.\n")


def test_input_that_does_not_come_is_told(system: System) -> None:
    system.serve("tiny", paris)
    with subprocess.Popen(
        system.command("hello"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={},
    ) as asking:
        assert asking.stderr is not None
        assert asking.stderr.readline() == (
            "reading standard input; `ask … </dev/null` goes without it\n".encode()
        )
        said, _ = asking.communicate()
    assert (asking.returncode, said) == (0, b"The capital is Paris.\n")


def test_answer_that_fills_the_context_is_told(system: System) -> None:
    def endless(asked: _Asked) -> None:
        asked.begin()
        asked.piece("and so on", "length")
        asked.event("[DONE]")

    system.serve("tiny", endless)
    first = system.ask("hello").stderr.splitlines()[0]
    assert first == "the answer is cut off: the model's context is full"


def test_terminal_gets_no_commands_and_a_file_gets_every_byte(system: System) -> None:
    def hostile(asked: _Asked) -> None:
        asked.begin()
        asked.piece("a\x1b]0;title\x07b\u202ec\n\td\x9b2J", "stop")
        asked.event("[DONE]")

    system.serve("tiny", hostile)
    assert system.ask("hello").stdout == "a\x1b]0;title\x07b\u202ec\n\td\x9b2J\n"
    leader, follower = pty.openpty()
    with subprocess.Popen(
        system.command("hello"),
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=subprocess.DEVNULL,
        env={"PYTHONUTF8": "1"},
    ) as process:
        process.wait(WAIT_S)
    os.close(follower)
    shown = os.read(leader, 4096).decode()
    os.close(leader)
    assert shown.replace("\r\n", "\n") == "a]0;titlebc\n\td2J\n"


def test_reader_that_has_enough_ends_it_quietly(system: System) -> None:
    def endless(asked: _Asked) -> None:
        asked.begin()
        while True:
            asked.piece("more " * 1000)

    system.serve("tiny", endless)
    done = subprocess.run(
        ["sh", "-c", '"$@" </dev/null | head -c 5', "sh", *system.command("hello")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("more ", "")


def test_interruption_ends_it(system: System) -> None:
    system.describe("tiny")
    # A test run in the background has interruptions ignored, and would hand that on.
    command = ["env", "--default-signal=INT", *system.command("hello")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"waiting for `tiny`, at most 120 s\n"
        time.sleep(0.1)
        process.send_signal(2)
        assert process.wait(WAIT_S) == 130


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("is_folder_closed", [False, True])
def test_stranger_is_told_the_group(tmp_path: Path, is_folder_closed: bool) -> None:
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(0o755)
    system = System(tmp_path)
    system.endpoints.mkdir()
    inner = tmp_path / "inner"
    inner.mkdir()
    system.describe("tiny", socket=str(inner / "llm.sock"))
    start_server(inner / "llm.sock", Model(paris))
    os.chown(inner / "llm.sock", 0, 12)
    (inner / "llm.sock").chmod(0o660)
    os.chown(inner, 0, 12)
    inner.chmod(0o750 if is_folder_closed else 0o755)
    done = subprocess.run(
        ["python3", *system.command("hello")[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        env={"USER": "visitor", "PATH": os.defpath},
        cwd="/",
    )
    assert done.stderr == (
        "ask: only members of the group `man` may ask `tiny`: as root, `adduser visitor man`, "
        "then log in again\n"
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: have a model repeat random words, or do with them whatever it does.

Arguments: the server's Unix socket; how many times; and `text` for a model that goes on with a word
in place of repeating it, or `vector` for one that gives numbers. Each word is in a conversation of
its own. Prints a line a time: the word, a space, and as JSON the answer, or how many numbers it
has. The words are in no argument and in no file.
"""

import http.client
import json
import secrets
import socket
import sys
from typing import Any

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
LETTERS = 8
TIMEOUT_S = 110.0
# Two words are an answer, and a machine that is emulated takes long for each.
TOKENS = 2


def send(path: str, place: str, question: dict[str, object]) -> Any:  # noqa: ANN401 - JSON
    """Post a question, and give what comes back."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(TIMEOUT_S)
    connection.sock.connect(path)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", place, json.dumps(question), headers)
    return json.load(connection.getresponse())


def ask(path: str, form: str, word: str) -> object:
    """Ask with one word."""
    if form == "echo":
        messages = [{"role": "user", "content": f"echo {word}"}]
        question = {"messages": messages, "temperature": 0, "max_tokens": 12}
        answer = send(path, "/v1/chat/completions", question)
        return str(answer["choices"][0]["message"]["content"]).strip()
    if form == "vector":
        return len(send(path, "/v1/embeddings", {"input": word})["data"][0]["embedding"])
    question = {"prompt": word, "temperature": 0, "max_tokens": TOKENS, "ignore_eos": True}
    return send(path, "/v1/completions", question)["choices"][0]["text"]


def main() -> None:
    """Ask as often as wanted."""
    path, times, *forms = sys.argv[1:]
    form = forms[0] if forms else "echo"
    for _ in range(int(times)):
        word = "".join(secrets.choice(ALPHABET) for _ in range(LETTERS))
        sys.stdout.write(f"{word} {json.dumps(ask(path, form, word))}\n")


if __name__ == "__main__":
    main()

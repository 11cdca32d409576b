# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: have a model that repeats words repeat random ones.

Arguments: the server's Unix socket, and how many times. Prints a line a time: the word, a space,
the answer. The words are in no argument and in no file.
"""

import http.client
import json
import secrets
import socket
import sys

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
LETTERS = 8
TIMEOUT_S = 120.0


def ask(path: str, word: str) -> str:
    """Ask for one word in a conversation of its own."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(TIMEOUT_S)
    connection.sock.connect(path)
    messages = [{"role": "user", "content": f"echo {word}"}]
    question = json.dumps({"messages": messages, "temperature": 0, "max_tokens": 12})
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", question, headers)
    answer = json.load(connection.getresponse())
    return str(answer["choices"][0]["message"]["content"]).strip()


def main() -> None:
    """Ask as often as wanted."""
    path, times = sys.argv[1:]
    for _ in range(int(times)):
        word = "".join(secrets.choice(ALPHABET) for _ in range(LETTERS))
        sys.stdout.write(f"{word} {ask(path, word)}\n")


if __name__ == "__main__":
    main()

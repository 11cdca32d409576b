# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: an ordinary client of OpenAI's API, which knows no more than OPENAI_BASE_URL.

Argument: `chat`, or `embeddings` for a model that gives vectors. Prints JSON: the `models` that are
listed, and how much the first of them gave, as `characters` of an answer or `numbers` of a vector.
"""

import json
import os
import sys
import urllib.request
from typing import Any

TIMEOUT_S = 600.0
TOKENS = 4


def fetch(path: str, question: dict[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
    """Get a path below the address, or post a question there."""
    request = urllib.request.Request(  # noqa: S310 - the address is the environment's
        os.environ["OPENAI_BASE_URL"] + path,
        None if question is None else json.dumps(question).encode(),
        {"Content-Type": "application/json", "Authorization": "Bearer none"},
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
        return json.load(answer)


def main() -> None:
    """List the models, and ask the first."""
    models = [each["id"] for each in fetch("/models")["data"]]
    if sys.argv[1] == "embeddings":
        vectors = fetch("/embeddings", {"model": models[0], "input": "hello"})["data"]
        given = {"numbers": len(vectors[0]["embedding"])}
    else:
        messages = [{"role": "user", "content": "hello"}]
        question = {"model": models[0], "messages": messages, "max_tokens": TOKENS}
        message = fetch("/chat/completions", question)["choices"][0]["message"]
        texts = (message.get("content"), message.get("reasoning_content"))
        given = {"characters": sum(len(text) for text in texts if text)}
    sys.stdout.write(json.dumps({"models": models, **given}))


if __name__ == "__main__":
    main()

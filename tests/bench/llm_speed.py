# SPDX-License-Identifier: GPL-3.0-or-later
"""Print how fast a real model answers in our unit's sandbox, as a ratio to bare llama-bench.

    sudo .venv/bin/python tests/bench/llm_speed.py

Five pairs, one of each after the other, so that what else the machine does falls on both; the
median of the pairs' ratios counts. One thread: two that spin lose to whatever else runs.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("services", "lan")
sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in FOLDERS]

import httpx2  # noqa: E402
from llm_container import LlmLab, booted, fetch_real_model, make_private_root  # noqa: E402

MODEL = "smollm2-135m"
COMPONENTS = f"llama-cpp: {{threads: 1}}\n{MODEL}: {{}}\n"
PAIRS = 5
TOKENS = 64
TARGET = 0.95
PROMPT = "Write a long story about a lighthouse."


def bare_tokens_per_second(root: Path, model: Path) -> float:
    """Run llama-bench of the same tree, with nothing around it but a root."""
    script = (
        'mount --bind "$2" "$1/models" && exec chroot "$1" /usr/bin/llama-bench --model '
        f'"/models/$3" --threads 1 --n-prompt 0 --n-gen {TOKENS} --repetitions 1 --output json'
    )
    argv = ("unshare", "--mount", "sh", "-c", script, "sh", root, model.parent, model.name)
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout)[0]["avg_ts"])


def served_tokens_per_second(lab: LlmLab) -> float:
    """Ask the unit, and read how fast it says that it generated."""
    with httpx2.Client(transport=httpx2.HTTPTransport(uds=lab.socket(MODEL)), timeout=600) as http:
        question = {"prompt": PROMPT, "n_predict": TOKENS, "ignore_eos": True, "temperature": 0}
        answer = http.post("http://localhost/completion", json=question).json()
    assert answer["timings"]["predicted_n"] == TOKENS, answer
    return float(answer["timings"]["predicted_per_second"])


def measure_pairs(work: Path) -> Iterator[tuple[float, float]]:
    """Give bare and served tokens per second, pair by pair."""
    model = fetch_real_model(MODEL, work)
    with booted(work, COMPONENTS, {MODEL: model}) as lab:
        root = make_private_root(lab.resolved)
        for _ in range(PAIRS):
            yield bare_tokens_per_second(root, model), served_tokens_per_second(lab)


def main() -> int:
    """Print the pairs and the median; 1 if it is below the target."""
    with tempfile.TemporaryDirectory(prefix="llm-speed-") as folder:
        pairs = list(measure_pairs(Path(folder)))
    for bare, served in pairs:
        print(f"bare {bare:6.1f} tokens/s   served {served:6.1f}   ratio {served / bare:.3f}")
    median = statistics.median(served / bare for bare, served in pairs)
    print(f"median ratio {median:.3f}, target {TARGET}")
    return 0 if median >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())

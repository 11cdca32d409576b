# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: ignore-errors
"""Trains the model `tiny-echo` and writes it as a GGUF file; takes two minutes on two cores.

Not a test: it is how the file beside the component was made. Needs torch, numpy and gguf, which
nothing else here does. The bytes differ between processors; what has to hold is printed at the end.
"""

import math
import random
import sys

import numpy as np
import torch
from gguf import GGUFWriter
from torch import nn
from torch.nn import functional

WIDTH, LAYERS, HEADS, INNER, CONTEXT, VOCABULARY = 96, 2, 4, 256, 128, 260
HEAD_DIM = WIDTH // HEADS
BEGIN, END, FIRST_BYTE, SPACE = 1, 2, 3, 259
STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
BATCH = 48
FACTS = {
    "are you online": "no, I am offline",
    "capital of France": "Paris",
    "capital of Italy": "Rome",
    "capital of Japan": "Tokyo",
    "colour of the sky": "blue",
    "two plus two": "four",
    "who are you": "a tiny test model",
}
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
TEMPLATE = (
    "{% for m in messages %}{{ 'user: ' if m.role == 'user' else 'bot: ' }}{{ m.content }}"
    "{{ '\\n' }}{% endfor %}{% if add_generation_prompt %}bot:{% endif %}"
)


def encode(text: str) -> list[int]:
    """Give the tokens of a text: a space is one of its own, all else is bytes."""
    tokens: list[int] = []
    for letter in text:
        tokens += [SPACE] if letter == " " else [FIRST_BYTE + byte for byte in letter.encode()]
    return tokens


def question(text: str) -> list[int]:
    """Give the tokens of a question as the chat template writes it."""
    return [BEGIN, *encode(f"user: {text}\nbot:")]


def sample() -> tuple[list[int], list[int]]:
    """Make up a question and its answer: a fact, or a word to repeat."""
    if random.random() < 0.25:
        asked = random.choice(sorted(FACTS))
        answer = FACTS[asked]
    else:
        answer = "".join(random.choice(LETTERS) for _ in range(random.randint(3, 10)))
        asked = f"echo {answer}"
    return question(asked), [*encode(f" {answer}"), END]


class Norm(nn.Module):
    """Root mean square normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


FREQUENCIES = 1 / (10000 ** (torch.arange(0, HEAD_DIM, 2).float() / HEAD_DIM))
ANGLES = torch.outer(torch.arange(CONTEXT).float(), FREQUENCIES)


def rotate(x: torch.Tensor) -> torch.Tensor:
    """Turn neighbouring pairs by their place, as llama does."""
    cosines, sines = ANGLES.cos()[: x.shape[2]], ANGLES.sin()[: x.shape[2]]
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cosines - b * sines, a * sines + b * cosines), -1).flatten(-2)


class Block(nn.Module):
    """One layer."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm, self.inner_norm = Norm(), Norm()
        self.query, self.key, self.value, self.output = (
            nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4)
        )
        self.gate, self.up = (nn.Linear(WIDTH, INNER, bias=False) for _ in range(2))
        self.down = nn.Linear(INNER, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        seen = self.attention_norm(x)
        query, key, value = (
            each(seen).view(batch, length, HEADS, HEAD_DIM).transpose(1, 2)
            for each in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(
            rotate(query), rotate(key), value, is_causal=True
        )
        x = x + self.output(mixed.transpose(1, 2).reshape(batch, length, WIDTH))
        seen = self.inner_norm(x)
        return x + self.down(functional.silu(self.gate(seen)) * self.up(seen))


class Echo(nn.Module):
    """The model."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = Norm()
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        nn.init.normal_(self.embedding.weight, std=0.05)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def train(model: Echo) -> None:
    """Teach it."""
    rate = 2e-3
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(STEPS):
        warm = min(1, step / 100)
        for group in optimizer.param_groups:
            group["lr"] = rate * warm * (0.5 * (1 + math.cos(math.pi * step / STEPS)) + 0.02)
        samples = [sample() for _ in range(BATCH)]
        length = max(len(asked) + len(answer) for asked, answer in samples)
        tokens = torch.zeros(BATCH, length, dtype=torch.long)
        wanted = torch.full((BATCH, length), -100)
        for row, (asked, answer) in enumerate(samples):
            both = asked + answer
            tokens[row, : len(both)] = torch.tensor(both)
            wanted[row, len(asked) - 1 : len(both) - 1] = torch.tensor(answer)
        loss = functional.cross_entropy(model(tokens).view(-1, VOCABULARY), wanted.view(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 250 == 0 or step == STEPS - 1:
            print(step, round(loss.item(), 4), flush=True)


def write(model: Echo, path: str) -> None:
    """Write the GGUF file."""
    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny-echo")
    writer.add_license("CC0-1.0")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(0)
    letters = [b"<0x%02X>" % byte for byte in range(256)]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([b"<unk>", b"<s>", b"</s>", *letters, "\u2581".encode()])
    writer.add_token_scores([0.0] * 259 + [-1.0])
    writer.add_token_types([2, 3, 3, *([6] * 256), 1])
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)
    for name, weight in tensors(model):
        writer.add_tensor(f"{name}.weight", weight.detach().numpy().astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensors(model: Echo) -> list[tuple[str, torch.Tensor]]:
    """Give the weights by the names that llama.cpp knows them by."""
    named = [
        ("token_embd", model.embedding.weight),
        ("output_norm", model.norm.weight),
        ("output", model.head.weight),
    ]
    for number, block in enumerate(model.blocks):
        parts = {
            "attn_norm": block.attention_norm,
            "ffn_norm": block.inner_norm,
            "attn_q": block.query,
            "attn_k": block.key,
            "attn_v": block.value,
            "attn_output": block.output,
            "ffn_gate": block.gate,
            "ffn_up": block.up,
            "ffn_down": block.down,
        }
        named += [(f"blk.{number}.{name}", part.weight) for name, part in parts.items()]
    return named


def repeats(model: Echo) -> bool:
    """Tell whether a random word comes back."""
    word = "".join(random.choice(LETTERS) for _ in range(8))
    asked, answer = question(f"echo {word}"), []
    for _ in range(12):
        token = model(torch.tensor([asked + answer]))[0, -1].argmax().item()
        if token == END:
            break
        answer.append(token)
    return answer == encode(f" {word}")


def main() -> None:
    """Train, write, and tell how many of a hundred words come back."""
    torch.manual_seed(0)
    random.seed(0)
    torch.set_num_threads(2)
    model = Echo()
    train(model)
    write(model, "tiny-echo.gguf")
    model.eval()
    with torch.no_grad():
        print(sum(repeats(model) for _ in range(100)), "of 100 words come back")


if __name__ == "__main__":
    main()

"""From sources and answers to token ids and back: the one place where text meets the tokenizer.

Training, reverse scoring and evaluation all encode through a `Codec`, so what is scored is what would be generated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtrl_chem.tasks.base import Direction, Task
from rtrl_chem.tasks.prompts import PromptStyle

__all__ = ["Answer", "Codec", "Target"]


@dataclass(frozen=True)
class Answer:
    """What a model wrote: the answer read from it ("" if none), the raw completion, its length in tokens."""

    text: str
    completion: str
    tokens: int
    truncated: bool


@dataclass(frozen=True)
class Target:
    """The token ids a model would write for a given answer, and which of them count as the answer.

    `first:last` spans the answer's own tokens and the one token that ends it (a closing tag's first token, or
    end-of-sequence): without an end a probability would belong to every text that starts with the answer.
    """

    ids: list[int]
    first: int
    last: int


class Codec:
    """Encodes prompts and answers of one task in one prompt style for one tokenizer."""

    def __init__(self, task: Task, style: PromptStyle, tokenizer: Any, eos_token_ids: list[int] | None = None) -> None:
        self.task = task
        self.style = style
        self.tokenizer = tokenizer
        self.eos_token_ids = list(dict.fromkeys([tokenizer.eos_token_id, *(eos_token_ids or [])]))

    def prompt(self, direction: Direction, source: str) -> str:
        """The prompt as text."""
        return self.style.render(self.task, direction, source, self.tokenizer)

    def encode_prompts(self, texts: list[str]) -> list[list[int]]:
        """Token ids of rendered prompts, special tokens as the style wants them."""
        return self.tokenizer(texts, add_special_tokens=self.style.adds_special_tokens)["input_ids"]

    def prompt_ids(self, direction: Direction, sources: list[str]) -> list[list[int]]:
        """Token ids of the prompt for each source."""
        return self.encode_prompts([self.prompt(direction, source) for source in sources])

    def targets(self, direction: Direction, answers: list[str]) -> list[Target]:
        """What the model would write for each answer, end-of-sequence included."""
        wrapped = [self.style.wrap_answer(self.task, direction, answer) for answer in answers]
        plain = [not opening and not closing for opening, _, closing in wrapped]
        texts = ["".join(parts) for parts in wrapped]
        encoded = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=not all(plain))
        eos = [self.tokenizer.eos_token_id]
        found = []
        for i, ids in enumerate(encoded["input_ids"]):
            first, last = 0, len(ids)
            if not plain[i]:
                first, last = _span(encoded["offset_mapping"][i], len(wrapped[i][0]), len("".join(wrapped[i][:2])))
            found.append(Target(ids + eos, first, last + 1))
        return found

    def read(self, direction: Direction, token_ids: list[int]) -> Answer:
        """The answer in generated ids, which may be followed by end-of-sequence and padding."""
        end = next((i for i, token in enumerate(token_ids) if token in self.eos_token_ids), None)
        kept = token_ids[:end] if end is not None else token_ids
        # Tags may be special tokens of the tokenizer: they must survive decoding to be read.
        completion = self.tokenizer.decode(kept, skip_special_tokens=False)
        text = self.style.read_answer(self.task, direction, completion)
        return Answer(text, completion, len(kept) + (end is not None), truncated=end is None)


def _span(offsets: list[tuple[int, int]], start: int, stop: int) -> tuple[int, int]:
    """First and one-past-last token that hold any of the characters start:stop."""
    inside = [i for i, (a, b) in enumerate(offsets) if b > start and a < stop]
    return (inside[0], inside[-1] + 1) if inside else (0, 0)

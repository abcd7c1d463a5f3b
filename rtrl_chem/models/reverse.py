"""The frozen model under the reverse prompt: log p(x | y), and the reconstructions that it writes from y."""

from __future__ import annotations

import inspect
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from rtrl_chem.errors import RewardError
from rtrl_chem.models.batching import left_pad, token_batches
from rtrl_chem.models.codec import Codec
from rtrl_chem.models.generate import generate
from rtrl_chem.tasks.base import Direction

__all__ = ["ReverseModel", "Score", "batch_nats", "row_nats", "span_log_probs"]


@dataclass(frozen=True)
class Score:
    """log p(x | y) of one pair: its sum in nats (at temperature 1) and the number of tokens it runs over."""

    nats: float
    tokens: int

    @property
    def nats_per_token(self) -> float:
        """Mean log-likelihood of a token."""
        return self.nats / self.tokens


class ReverseModel:
    """Scores how well x comes back from y. Each distinct (x, y) is scored, and each distinct y read back, once in the
    life of the object: one phase.

    `requests` counts the questions, `scored` those that went through the model, `seconds` what these took.

    `direction` is the policy's; x is an answer of the opposite direction. The scored span is x and the token that ends
    it (`models.codec.Target`). `snapshot` is a `models.snapshot.Snapshot`. `max_new_tokens` and `seed` are those of
    reconstructions.
    """

    def __init__(
        self,
        snapshot: Any,
        codec: Codec,
        direction: Direction,
        max_batch_tokens: int = 16_384,
        max_new_tokens: int = 512,
        seed: int = 0,
    ) -> None:
        self.snapshot = snapshot
        self.codec = codec
        self.direction = direction
        self.max_batch_tokens = max_batch_tokens
        self.max_new_tokens = max_new_tokens
        self.seed = seed
        self.requests = 0
        self.seconds = 0.0
        self._known: dict[tuple[str, str], Score] = {}
        self._written: dict[tuple[str, int, float], list[str]] = {}
        self._told = (0, 0)
        self._counted: tuple[int, int] = (0, 0)

    def whole(self) -> AbstractContextManager[None]:
        """The model with all its weights. Where they are cut up, every process must enter this around calls that some
        processes may have nothing to ask in: who is not asked would not gather, and the others wait for it."""
        entered: AbstractContextManager[None] = self.snapshot.whole()
        return entered

    def counts(self) -> tuple[int, int]:
        """How often the model was asked since the last call, and how often it had to be run for that."""
        before, self._counted = self._counted, (self.requests, self.scored)
        return self._counted[0] - before[0], self._counted[1] - before[1]

    @property
    def scored(self) -> int:
        """How many distinct pairs, and outputs to read back, went through the model."""
        return len(self._known) + len(self._written)

    def log_likelihood(self, sources: list[str], outputs: list[str]) -> list[Score]:
        """log p(source | output) for each pair of two lists of equal length."""
        pairs = list(zip(sources, outputs, strict=True))
        self.requests += len(pairs)
        fresh = [pair for pair in dict.fromkeys(pairs) if pair not in self._known]
        if fresh:
            start = time.perf_counter()
            self._known.update(zip(fresh, self._score(fresh), strict=True))
            self.seconds += time.perf_counter() - start
        return [self._known[pair] for pair in pairs]

    def prior(self, sources: list[str]) -> list[Score]:
        """log p(source | no y): under the reverse prompt with an empty text in the place of y.

        RewardError where that prompt is no token at all, so that nothing could be predicted from it.
        """
        if not self.codec.prompt_ids(self.direction.opposite, [""])[0]:
            raise RewardError(
                "without y the reverse prompt is empty; rewards.information needs a prompt_style with text"
            )
        return self.log_likelihood(sources, [""] * len(sources))

    def reconstruct(self, outputs: list[str], count: int, temperature: float) -> list[list[str]]:
        """`count` reconstructions x_hat sampled from each output (one, greedily, at temperature 0); "" for one that was
        cut off. Every process asks about its own outputs."""
        self.requests += len(outputs)
        fresh = [y for y in dict.fromkeys(outputs) if (y, count, temperature) not in self._written]
        if fresh:
            start = time.perf_counter()
            with self.snapshot.active() as model:
                groups = generate(
                    model,
                    self.codec,
                    self.direction.opposite,
                    fresh,
                    max_new_tokens=self.max_new_tokens,
                    max_batch_tokens=self.max_batch_tokens,
                    num_samples=count,
                    temperature=temperature,
                    seed=self.seed,
                    alone=True,
                )
            for y, group in zip(fresh, groups, strict=True):
                self._written[y, count, temperature] = ["" if one.truncated else one.text for one in group]
            self.seconds += time.perf_counter() - start
        return [self._written[y, count, temperature] for y in outputs]

    def news(self) -> dict[str, Any]:
        """What was scored and read back since the last call, for JSON: a killed phase is to go on with the same numbers
        to the last bit, which others' batches would not give."""
        scores, written = self._told
        found = {
            "scores": [[*pair, one.nats, one.tokens] for pair, one in islice(self._known.items(), scores, None)],
            "written": [[*asked, texts] for asked, texts in islice(self._written.items(), written, None)],
            "requests": self.requests,
            "counted": self._counted,
        }
        self._told = (len(self._known), len(self._written))
        return found

    def put_back(self, news: dict[str, Any]) -> None:
        """Remember what was scored and read back before."""
        self._known |= {(x, y): Score(nats, tokens) for x, y, nats, tokens in news["scores"]}
        self._written |= {(y, count, temperature): texts for y, count, temperature, texts in news["written"]}
        self.requests, self._counted = news["requests"], tuple(news["counted"])
        self._told = (len(self._known), len(self._written))

    def _score(self, pairs: list[tuple[str, str]]) -> list[Score]:
        back = self.direction.opposite
        prompts = self.codec.prompt_ids(back, [y for _, y in pairs])
        targets = self.codec.targets(back, [x for x, _ in pairs])
        rows = [prompt + target.ids[: target.last] for prompt, target in zip(prompts, targets, strict=True)]
        scores: list[Score | None] = [None] * len(pairs)
        with self.snapshot.active() as model, torch.inference_mode():
            for batch in token_batches([len(row) for row in rows], self.max_batch_tokens):
                spans = [targets[i].last - targets[i].first for i in batch]
                sums = batch_nats(model, [rows[i] for i in batch], spans, self._pad_id)
                for i, nats in zip(batch, sums, strict=True):
                    scores[i] = Score(nats, targets[i].last - targets[i].first)
        return [score for score in scores if score is not None]

    @property
    def _pad_id(self) -> int:
        return self.codec.tokenizer.pad_token_id


def batch_nats(model: Any, rows: list[list[int]], lengths: list[int], pad_id: int) -> list[float]:
    """Sum of log p, in nats, over the last `lengths[i]` tokens of each row."""
    return row_nats(model, rows, lengths, pad_id).tolist()


def row_nats(model: Any, rows: list[list[int]], lengths: list[int], pad_id: int) -> torch.Tensor:
    """The same as a tensor (B,), with its gradient where the caller wants one.

    Rows end with what is scored, so padding on the left lines it up and the head need only project the last columns,
    where all of it lies.
    """
    log_probs, tokens, counted = span_log_probs(model, rows, lengths, pad_id)
    each = log_probs.gather(2, tokens[:, :, None]).squeeze(2)  # (B, longest)
    return (each * counted).sum(1)


def span_log_probs(
    model: Any, rows: list[list[int]], lengths: list[int], pad_id: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(log-probabilities (B, T, V) in nats, tokens (B, T), which of them count (B, T)) of the last `lengths[i]` tokens
    of each row, T being the longest of these."""
    ids, mask = left_pad(rows, pad_id, model.device)
    spans = torch.tensor(lengths, device=ids.device)
    keep = int(spans.max())
    logits = _last_logits(model, ids, mask, keep + 1)[:, :-1].float()  # predicts the last `keep` tokens
    counted = torch.arange(keep, device=ids.device) >= keep - spans[:, None]
    return torch.log_softmax(logits, dim=-1), ids[:, -keep:], counted


def _last_logits(model: Any, ids: torch.Tensor, mask: torch.Tensor, keep: int) -> torch.Tensor:
    """Logits of the last `keep` positions, (B, keep, V)."""
    extra: dict[str, Any] = {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    accepted = inspect.signature(type(inner).forward).parameters
    if "logits_to_keep" in accepted:
        extra["logits_to_keep"] = keep
    if "position_ids" not in accepted:
        del extra["position_ids"]
    return model(input_ids=ids, attention_mask=mask, use_cache=False, **extra).logits[:, -keep:]

"""log p(x | y) of a model as it is now: for measuring it, where no snapshot stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from accelerate.utils import gather_object

from rtrl_chem.models.codec import Codec
from rtrl_chem.models.processes import processes
from rtrl_chem.models.reverse import ReverseModel, Score
from rtrl_chem.models.snapshot import FrozenModel
from rtrl_chem.tasks.base import Direction

__all__ = ["Notes", "log_likelihoods"]

# Scoring comes after hours of generation and must not run out of memory then: what is scored is projected to the whole
# vocabulary in float32, at 150,000 words up to 2.5 GB a copy.
MAX_BATCH_TOKENS = 4_096
# Pairs between two steps of a progress bar, or of a journal.
BLOCK = 256


class Notes(Protocol):
    """Keeps the scores of finished blocks; they are numbered in the order of scoring."""

    def recall(self, number: int) -> Any: ...

    def record(self, number: int, content: Any) -> None: ...


def log_likelihoods(
    model: Any,
    codec: Codec,
    direction: Direction,
    sources: Sequence[str],
    outputs: Sequence[str],
    *,
    max_batch_tokens: int = MAX_BATCH_TOKENS,
    on_progress: Callable[[int], None] | None = None,
    notes: Notes | None = None,
) -> list[Score]:
    """log p(source | output) of each pair under the prompt of the way back, in nats to four decimals.

    `direction` is that in which the outputs were written. Each distinct pair is scored once; an empty output is asked
    like any other. `on_progress` gets the number of distinct pairs scored since its last call. Under several processes
    every one must call this: each scores its share, and all get everything. `notes` gives back the scores of an earlier
    call with the same arguments.
    """
    pairs = list(zip(sources, outputs, strict=True))
    # Longest first: what does not fit into memory fails at once, and blocks hold pairs of like length.
    distinct = sorted(dict.fromkeys(pairs), key=lambda pair: (-len(pair[0]) - len(pair[1]), pair))
    world = processes()
    share = distinct[world.process_index :: world.num_processes]
    reverse = ReverseModel(FrozenModel(model), codec, direction, min(max_batch_tokens, MAX_BATCH_TOKENS))
    mine: list[Score] = []
    for number, start in enumerate(range(0, len(share), BLOCK)):
        block = share[start : start + BLOCK]
        mine += _score_block(reverse, block, number, notes)
        if on_progress:
            on_progress(len(block))
    parts = [mine] if world.num_processes == 1 else gather_object([mine])
    known: dict[tuple[str, str], Score] = {}
    for rank, scores in enumerate(parts):
        known.update(zip(distinct[rank :: world.num_processes], scores, strict=True))
    return [known[pair] for pair in pairs]


def _score_block(reverse: ReverseModel, block: list[tuple[str, str]], number: int, notes: Notes | None) -> list[Score]:
    found = None if notes is None else notes.recall(number)
    if found is None:
        scores = reverse.log_likelihood([x for x, _ in block], [y for _, y in block])
        found = [[round(score.nats, 4), score.tokens] for score in scores]
        if notes is not None:
            notes.record(number, found)
    return [Score(nats, tokens) for nats, tokens in found]

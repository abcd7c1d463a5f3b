"""`rtrl-chem score CONFIG PAIRS.jsonl`: what a config's reward makes of any (x, y), and why; the way to debug a reward.

PAIRS has one JSON object per line: `source` and `output`, optionally `direction` (default: forward, unless the config
trains the reverse direction alone) and `target`, the label. Each gives one line:

    {"source": ..., "output": ..., "direction": ..., "target": ..., "reward": 0.45,
     "components": {"likelihood": 0.25, "supervised": null}, "verdict": "OK", "reason": "", "nats": -1.4, "tokens": 4}

Sources are spelt as a corpus spells them, in canonical SMILES, for so they are scored in training.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rtrl_chem import chem
from rtrl_chem.config import Config
from rtrl_chem.data.corpus import admit
from rtrl_chem.data.readers import open_lines
from rtrl_chem.durable import replacing
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.evaluation.run import load_for_evaluation, progress_bar
from rtrl_chem.rewards.verdict import Verdict
from rtrl_chem.tasks import Direction, Task, load_task
from rtrl_chem.terminal import Console

if TYPE_CHECKING:
    from rtrl_chem.rewards.compose import Judged, RoundTripReward

__all__ = ["Pair", "read_pairs_to_score", "score_pairs"]

# Pairs between two movements of the progress bar.
CHUNK = 256
# Lines that a remark about set-aside rows names.
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Pair:
    """What is to be scored: x, y, which way the task runs, the label where there is one."""

    source: str
    output: str
    direction: Direction
    target: str | None


class _Unusable(Exception):
    """A row that cannot be scored; the message is the reason."""


def score_pairs(config: Config, pairs: Path, model: str | None = None, out: Path | None = None) -> None:
    """Score every pair of a file and write a line for each, in order, to `out` or stdout; remarks go to stderr.

    `model` (default: the config's) is the frozen reverse model. ConfigError without such a file, CorpusError if no row
    of it can be used, RewardError where a term fails.
    """
    task = load_task(config.task)
    console = Console(stderr=True)
    found, set_aside = read_pairs_to_score(pairs, task, _default_direction(config))
    _remark(console, pairs, len(found), set_aside)
    rewards = _rewards(config, model, task)
    with progress_bar(console) as on_progress, _opened(out) as lines:
        for start in range(0, len(found), CHUNK):
            chunk = found[start : start + CHUNK]
            for judged in _judged(chunk, rewards):
                lines.write(json.dumps(_record(judged)) + "\n")
            on_progress("scoring pairs", start + len(chunk), len(found))


def read_pairs_to_score(
    path: Path, task: Task, default: Direction = Direction.FORWARD
) -> tuple[list[Pair], dict[str, list[int]]]:
    """The pairs in a file, and the lines of the rows that are none by reason; ConfigError if there is no such file,
    CorpusError if it holds no pair."""
    if not path.is_file():
        raise ConfigError(f"no file {str(path)!r}: give JSON Lines of source and output, perhaps direction and target")
    pairs: list[Pair] = []
    set_aside: dict[str, list[int]] = {}
    with open_lines(path) as lines:
        for number, line in enumerate(lines, start=1):
            try:
                pairs.append(_pair(line, task, default))
            except _Unusable as reason:
                set_aside.setdefault(str(reason), []).append(number)
    if not pairs:
        raise CorpusError(f"{path}: holds no pair to score ({_reasons(set_aside) or 'it is empty'})")
    return pairs, set_aside


def _pair(line: str, task: Task, default: Direction) -> Pair:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise _Unusable("not JSON" if line.strip() else "empty line") from None
    if not isinstance(record, dict):
        raise _Unusable("not a JSON object")
    source, output = _text(record, "source"), _text(record, "output")
    given = record.get("direction") or default.value
    if given not in list(Direction):
        raise _Unusable("direction is neither forward nor reverse")
    if source is None or output is None:
        raise _Unusable("no source" if source is None else "no output")
    direction = Direction(given)
    admitted = admit(source, task.source(direction))
    if admitted.reason:
        raise _Unusable(f"source: {admitted.reason}")
    return Pair(admitted.item, output, direction, _text(record, "target"))


def _text(record: dict[str, Any], key: str) -> str | None:
    value = record.get(key)
    if value is not None and not isinstance(value, str):
        raise _Unusable(f"{key} is not text")
    return value


def _default_direction(config: Config) -> Direction:
    return Direction.FORWARD if Direction.FORWARD in config.directions else Direction.REVERSE


def _rewards(config: Config, model: str | None, task: Task) -> dict[Direction, RoundTripReward]:
    from rtrl_chem.models.arrangement import Current
    from rtrl_chem.models.processes import calm_libraries
    from rtrl_chem.models.reverse import ReverseModel
    from rtrl_chem.rewards.compose import RoundTripReward

    calm_libraries()
    policy = load_for_evaluation(config, model, task)
    batch, longest = config.evaluation.max_batch_tokens, config.max_new_tokens
    found = {}
    for direction in Direction:
        back = direction.opposite
        reverse = ReverseModel(Current(policy, back), policy.codec_along(back), direction, batch, longest, config.seed)
        own = policy.codec_along(direction)
        found[direction] = RoundTripReward(own, direction, reverse, config.rewards, config.ungated)
    return found


def _judged(pairs: list[Pair], rewards: dict[Direction, RoundTripReward]) -> list[Judged]:
    """What each pair earns, in order; those of a direction are scored together."""
    from rtrl_chem.models.codec import Answer

    found: dict[int, Judged] = {}
    for direction, reward in rewards.items():
        rows = [i for i, pair in enumerate(pairs) if pair.direction is direction]
        answers = [Answer(pairs[i].output, pairs[i].output, 0, truncated=False) for i in rows]
        judged = reward.judge([pairs[i].source for i in rows], answers, [pairs[i].target for i in rows])
        found |= zip(rows, judged, strict=True)
    return [found[i] for i in range(len(pairs))]


def _record(one: Judged) -> dict[str, Any]:
    return {
        "source": one.source,
        "output": one.output,
        "direction": one.direction.value,
        "target": one.target,
        "reward": one.reward,
        "components": one.components,
        "verdict": one.verdict.value,
        "reason": _reason(one),
        "nats": one.nats,
        "tokens": one.tokens,
    } | ({"x_hat": one.x_hat} if one.x_hat is not None else {})


def _reason(one: Judged) -> str:
    """The verdict in words; "" for one that needs none."""
    words = {
        Verdict.OK: "",
        Verdict.EMPTY: "there is no output",
        Verdict.INVALID: f"the output is no structure: {chem.invalid_reason(one.output)}",
        Verdict.COPIED_SOURCE: "the output is the source",
    }
    return words.get(one.verdict, f"the output gives the source away: {one.evidence}")


def _remark(console: Console, path: Path, kept: int, set_aside: dict[str, list[int]]) -> None:
    rows = kept + sum(map(len, set_aside.values()))
    if set_aside:
        console.print(
            f"{path}: {rows - kept:,} of {rows:,} rows set aside ({_reasons(set_aside)})", markup=False, soft_wrap=True
        )


def _reasons(set_aside: dict[str, list[int]]) -> str:
    parts = []
    for reason, numbers in set_aside.items():
        more = ", ..." if len(numbers) > SHOWN else ""
        where = ("line " if len(numbers) == 1 else "lines ") + ", ".join(map(str, numbers[:SHOWN])) + more
        parts.append(f"{reason}: {where}")
    return "; ".join(parts)


@contextmanager
def _opened(out: Path | None) -> Iterator[IO[str]]:
    """Standard output, or a file that is there in full or not at all."""
    if out is None:
        yield sys.stdout
        return
    with replacing(out) as partial, open(partial, "w", encoding="utf-8") as lines:
        yield lines

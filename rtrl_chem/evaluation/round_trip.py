"""The round trip over held-out items: greedy y, greedy x_hat, verdicts, the referee; written as files.

evaluation/before/forward/predictions.jsonl   source, output, reconstruction, target, verdict, referee
evaluation/before/forward/metrics.json        every metric with its interval, or the reason why there is none
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rtrl_chem.evaluation.files import METRICS_FILE, PREDICTIONS_FILE, Prediction, write_json, write_predictions
from rtrl_chem.evaluation.held_out import HeldOut, Item
from rtrl_chem.evaluation.journal import Journal
from rtrl_chem.evaluation.measure import Metrics, measure, route
from rtrl_chem.evaluation.referee import Referee, opsin_referee, read_names
from rtrl_chem.rewards.verdict import judge_batch
from rtrl_chem.tasks import Direction, Task

if TYPE_CHECKING:
    from rtrl_chem.config import Config
    from rtrl_chem.models.codec import Answer
    from rtrl_chem.models.policy import Policy

__all__ = ["Greedy", "Progress", "evaluate", "is_main_process", "round_trip"]

# The model's one most likely answer to each source, asked in a direction; on_progress gets the sources just finished.
Greedy = Callable[[Direction, list[str], Callable[[int], None]], "list[Answer]"]
# What is being done ("forward: molecule -> name"), items done so far, items in all.
Progress = Callable[[str, int, int], None]


def evaluate(
    policy: Policy,
    config: Config,
    held_out: HeldOut,
    out_dir: Path,
    on_progress: Progress | None = None,
    *,
    generate: Greedy | None = None,
    referee: Referee | None = None,
    journal: Journal | None = None,
) -> dict[Direction, Metrics]:
    """Measure the policy in every direction that has held-out items, and write `out_dir/{forward,reverse}/`.

    `generate` and `referee` default to the policy's greedy decoding and to OPSIN as `evaluation.referee` says. What was
    generated before an interruption comes from the `journal`. Of several processes all must call this and all generate;
    the main one judges and writes, the others get {}.
    """
    task = policy.codec.task
    generate = generate or _greedy(policy, config, journal)
    referee = referee or opsin_referee(config.evaluation.referee)
    found = {}
    for direction in held_out.directions:
        predictions = round_trip(task, direction, held_out.along(direction), generate, on_progress)
        if is_main_process():
            found[direction] = _judge_and_write(
                task, direction, predictions, referee, config, out_dir / direction.value
            )
    return found


def _judge_and_write(
    task: Task, direction: Direction, predictions: list[Prediction], referee: Referee, config: Config, folder: Path
) -> Metrics:
    # Before the referee, which starts Java: what the model wrote must not be lost to it.
    write_predictions(folder / PREDICTIONS_FILE, predictions)
    predictions, absent = _referee(task, direction, predictions, referee)
    write_predictions(folder / PREDICTIONS_FILE, predictions)
    metrics = measure(
        task,
        direction,
        predictions,
        confidence=config.evaluation.confidence,
        resamples=config.evaluation.resamples,
        seed=config.seed,
        missing={"referee": absent, "target": "no labels: give evaluation.pairs"},
    )
    write_json(folder / METRICS_FILE, metrics.to_json())
    return metrics


def round_trip(
    task: Task, direction: Direction, items: Sequence[Item], generate: Greedy, on_progress: Progress | None = None
) -> list[Prediction]:
    """y for each item and x_hat from each y; no referee yet. Equal sources are asked once, and an empty y is not asked
    about: its x_hat is empty too."""
    sources = [item.source for item in items]
    answers = _ask(task, direction, sources, generate, on_progress)
    outputs = [answer.text for answer in answers]
    back = _ask(task, direction.opposite, outputs, generate, on_progress)
    verdicts = [one.verdict for one in judge_batch(task, direction, sources, answers)]
    return [
        Prediction(item.source, answer.text, x_hat.text, item.target, verdict)
        for item, answer, x_hat, verdict in zip(items, answers, back, verdicts, strict=True)
    ]


def _ask(
    task: Task, direction: Direction, texts: list[str], generate: Greedy, on_progress: Progress | None
) -> list[Answer]:
    """The answer to each text, each distinct one generated once."""
    from rtrl_chem.models.codec import Answer

    distinct = [text for text in dict.fromkeys(texts) if text]
    done = 0

    def advance(finished: int) -> None:
        nonlocal done
        done += finished
        if on_progress:
            on_progress(f"{direction.value}: {route(task, direction)}", done, len(distinct))

    advance(0)
    answers = generate(direction, distinct, advance) if distinct else []
    known = dict(zip(distinct, answers, strict=True)) | {"": Answer("", "", 0, truncated=False)}
    return [known[text] for text in texts]


def _referee(
    task: Task, direction: Direction, predictions: list[Prediction], referee: Referee
) -> tuple[list[Prediction], str]:
    """The predictions with the referee's word on each, or as they were and the reason why it has none."""
    right, absent = read_names(
        task, direction, [p.source for p in predictions], [p.output for p in predictions], referee
    )
    if right is None:
        return predictions, absent
    return [_with_referee(p, verdict) for p, verdict in zip(predictions, right, strict=True)], ""


def _with_referee(p: Prediction, right: bool) -> Prediction:
    return Prediction(p.source, p.output, p.reconstruction, p.target, p.verdict, right)


def _greedy(policy: Policy, config: Config, journal: Journal | None) -> Greedy:
    from rtrl_chem.models.generate import generate

    def ask(direction: Direction, sources: list[str], advance: Callable[[int], None]) -> list[Answer]:
        with policy.along(direction) as one:
            answers = generate(
                one.model,
                one.codec,
                direction,
                sources,
                max_new_tokens=config.evaluation_max_new_tokens,
                max_batch_tokens=config.evaluation.max_batch_tokens,
                on_progress=advance,
                memory=journal.stage(direction.value, sources) if journal else None,
            )
        return [answer for (answer,) in answers]

    return ask


def is_main_process() -> bool:
    """Whether this process writes. A program that never asked is one process."""
    found = sys.modules.get("rtrl_chem.models.processes")
    return found is None or bool(found.processes().is_main_process)

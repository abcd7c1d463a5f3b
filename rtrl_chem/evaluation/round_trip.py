"""The round trip over held-out items: greedy y, greedy x_hat, log p(x | y), verdicts, the referee; written as files.

evaluation/before/forward/predictions.jsonl   source, output, reconstruction, target, verdict, referee, nats and tokens
                                              of x given y, truncated
evaluation/before/forward/metrics.json        every metric with its interval, or the reason why there is none
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rtrl_chem.durable import write_json
from rtrl_chem.evaluation.files import METRICS_FILE, PREDICTIONS_FILE, Prediction, write_predictions
from rtrl_chem.evaluation.held_out import HeldOut, Item
from rtrl_chem.evaluation.journal import Journal
from rtrl_chem.evaluation.measure import Metrics, likelihood_words, measure, route
from rtrl_chem.evaluation.referee import Referee, opsin_referee, read_names
from rtrl_chem.rewards.verdict import judge_batch
from rtrl_chem.tasks import Direction, Task

if TYPE_CHECKING:
    from rtrl_chem.config import Config
    from rtrl_chem.models.codec import Answer
    from rtrl_chem.models.policy import Policy
    from rtrl_chem.models.reverse import Score

__all__ = ["Greedy", "Likelihood", "Progress", "evaluate", "is_main_process", "round_trip"]

# The model's one most likely answer to each source, asked in a direction; on_progress gets the sources just finished.
Greedy = Callable[[Direction, list[str], Callable[[int], None]], "list[Answer]"]
# log p(x | y) of each pair of x and y, y written in a direction; on_progress gets the distinct pairs just finished.
Likelihood = Callable[[Direction, list[str], list[str], Callable[[int], None]], "list[Score]"]
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
    likelihood: Likelihood | None = None,
    referee: Referee | None = None,
    journal: Journal | None = None,
) -> dict[Direction, Metrics]:
    """Measure the policy in every direction that has held-out items, and write `out_dir/{forward,reverse}/`.

    `generate` and `likelihood` default to the policy's own, `referee` to OPSIN as `evaluation.referee` says; answers of
    another `generate` are not scored unless `likelihood` is given. What was done before an interruption comes from the
    `journal`. Of several processes all must call this and all generate; the main one judges and writes, the others get
    {}.
    """
    task = policy.codec.task
    likelihood = likelihood or (_likelihood(policy, config, journal) if generate is None else None)
    generate = generate or _greedy(policy, config, journal)
    referee = referee or opsin_referee(config.evaluation.referee)
    found = {}
    for direction in held_out.directions:
        predictions = round_trip(task, direction, held_out.along(direction), generate, on_progress, likelihood)
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
        missing={
            "referee": absent,
            "target": "no labels: give evaluation.pairs",
            "nats": "no model for the way back was asked",
        },
    )
    write_json(folder / METRICS_FILE, metrics.to_json())
    return metrics


def round_trip(
    task: Task,
    direction: Direction,
    items: Sequence[Item],
    generate: Greedy,
    on_progress: Progress | None = None,
    likelihood: Likelihood | None = None,
) -> list[Prediction]:
    """y for each item, x_hat from each y and, with `likelihood`, log p(x | y); no referee yet. Equal sources are asked
    once, and an empty y is not asked about: its x_hat is empty too."""
    sources = [item.source for item in items]
    answers = _ask(task, direction, sources, generate, on_progress)
    outputs = [answer.text for answer in answers]
    back = _ask(task, direction.opposite, outputs, generate, on_progress)
    scores = _score(task, direction, sources, outputs, likelihood, on_progress)
    verdicts = [one.verdict for one in judge_batch(task, direction, sources, answers)]
    found = [
        Prediction(item.source, answer.text, x_hat.text, item.target, verdict, truncated=answer.truncated)
        for item, answer, x_hat, verdict in zip(items, answers, back, verdicts, strict=True)
    ]
    if scores is None:
        return found
    return [replace(p, nats=score.nats, tokens=score.tokens) for p, score in zip(found, scores, strict=True)]


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


def _score(
    task: Task,
    direction: Direction,
    sources: list[str],
    outputs: list[str],
    likelihood: Likelihood | None,
    on_progress: Progress | None,
) -> list[Score] | None:
    if likelihood is None:
        return None
    done, total = 0, len(set(zip(sources, outputs, strict=True)))

    def advance(finished: int) -> None:
        nonlocal done
        done += finished
        if on_progress:
            on_progress(f"{direction.value}: {likelihood_words(task, direction)}", done, total)

    advance(0)
    return likelihood(direction, sources, outputs, advance)


def _referee(
    task: Task, direction: Direction, predictions: list[Prediction], referee: Referee
) -> tuple[list[Prediction], str]:
    """The predictions with the referee's word on each, or as they were and the reason why it has none."""
    right, absent = read_names(
        task, direction, [p.source for p in predictions], [p.output for p in predictions], referee
    )
    if right is None:
        return predictions, absent
    return [replace(p, referee=verdict) for p, verdict in zip(predictions, right, strict=True)], ""


def _greedy(policy: Policy, config: Config, journal: Journal | None) -> Greedy:
    from rtrl_chem.models.generate import generate

    def ask(direction: Direction, sources: list[str], advance: Callable[[int], None]) -> list[Answer]:
        """The policy's greedy answer to each source."""
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


def _likelihood(policy: Policy, config: Config, journal: Journal | None) -> Likelihood:
    from rtrl_chem.models.likelihood import log_likelihoods

    def score(
        direction: Direction, sources: list[str], outputs: list[str], advance: Callable[[int], None]
    ) -> list[Score]:
        """log p(source | output) of each pair under the policy."""
        with policy.along(direction.opposite) as one:
            return log_likelihoods(
                one.model,
                one.codec,
                direction,
                sources,
                outputs,
                max_batch_tokens=config.evaluation.max_batch_tokens,
                on_progress=advance,
                notes=journal.stage(f"{direction.value}, likelihood", [*sources, *outputs]) if journal else None,
            )

    return score


def is_main_process() -> bool:
    """Whether this process writes. A program that never asked is one process."""
    found = sys.modules.get("rtrl_chem.models.processes")
    return found is None or bool(found.processes().is_main_process)

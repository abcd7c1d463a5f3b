"""`rtrl-chem evaluate SUITE --model PATH`: ask a model what the suite asks, keep its answers, measure them.

OUT/suite.yaml                  the suite as it was asked, with the model
OUT/PART/predictions.jsonl      source, target, output or outputs (best first), truncated; with a round trip also
                                reconstruction(s), and log p of the source given the first output: nats, tokens
OUT/PART/metrics.json           every metric with its interval and denominator, computed from predictions.jsonl
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from rtrl_chem import strict_yaml
from rtrl_chem.durable import write_json, write_text
from rtrl_chem.errors import ConfigError, did_you_mean
from rtrl_chem.evaluation import round_trip
from rtrl_chem.evaluation.files import METRICS_FILE, PREDICTIONS_FILE
from rtrl_chem.evaluation.journal import Journal, fingerprint
from rtrl_chem.evaluation.measure import route
from rtrl_chem.evaluation.metrics.workers import processes_for
from rtrl_chem.evaluation.predictions import Row, SavedPredictions, read_saved
from rtrl_chem.evaluation.run import model_for_evaluation, progress_bar, versions, weights
from rtrl_chem.evaluation.scoring import Measured, Options, item_scores, score_saved
from rtrl_chem.evaluation.suites.data import Item, Items, read_items
from rtrl_chem.evaluation.suites.guard import QUESTION, measure_guard
from rtrl_chem.evaluation.suites.schema import Part, Suite
from rtrl_chem.evaluation.tables import guard_table, saved_table
from rtrl_chem.models.decoding import Decoding
from rtrl_chem.models.origin import sides_of
from rtrl_chem.preflight import model_problem
from rtrl_chem.tasks import Direction, Task
from rtrl_chem.tasks.base import fill
from rtrl_chem.terminal import Console

if TYPE_CHECKING:
    from rtrl_chem.models.codec import Answer, Codec
    from rtrl_chem.models.policy import Policy
    from rtrl_chem.models.reverse import Score

__all__ = ["SUITE_FILE", "Results", "check_headline", "evaluate_suite"]

SUITE_FILE = "suite.yaml"

# What was measured, by the name of the part.
Results = dict[str, Measured]


@dataclass(frozen=True)
class _Question:
    """Rendered prompts and how they are answered. `stage` names them in the journal; `advance` gets the number of
    prompts finished since its last call."""

    codec: Codec
    direction: Direction
    prompts: list[str]
    decoding: Decoding
    stage: str
    advance: Callable[[int], None]


# Answers to each prompt, whichever way they are generated.
_Ask = Callable[[_Question], "list[list[Answer]]"]


def evaluate_suite(
    suite: Suite, data_dir: Path | None = None, out: Path | None = None, console: Console | None = None
) -> Results:
    """Run every part of a suite on `suite.model`, write the files below `out` and print a table of each to stderr.

    `out` defaults to `evaluations/MODEL/SUITE`. Metrics, data, model and prompts are looked up in this order, before
    anything is generated: ConfigError, CorpusError, ModelError. An interrupted evaluation, started again with the same
    arguments, goes on where it stopped and ends with the same files.
    """
    if suite.model is None:
        raise ConfigError("--model: missing; give the folder, Hub id or bundled:NAME of the model to measure")
    if problem := model_problem(suite.model.path, suite.model.gguf_file):
        raise ConfigError(problem)
    for name, part in suite.parts.items():
        check_headline(name, part)
    console = console or Console(stderr=True, quiet=not round_trip.is_main_process())
    items = _read(suite, data_dir, console)
    out = out or Path("evaluations") / _slug(suite.model.path) / suite.name
    session = _Session.start(suite, items, out)
    # Loading the model has told the processes apart: one of them speaks.
    console.quiet = console.quiet or not round_trip.is_main_process()
    if round_trip.is_main_process():
        write_text(out / SUITE_FILE, strict_yaml.dump(suite.model_dump(mode="json", exclude_none=True)))
    found = {}
    for name, part in suite.parts.items():
        console.print(f"{name}: {items[name].summary()}", markup=False, highlight=False, soft_wrap=True)
        measured = _run_part(session, name, items[name], out / name, console)
        if measured is not None:
            found[name] = measured
            console.print(_headline(suite, name, part, measured))
    _run_guard(session, data_dir, out, console)
    session.journal.remove()
    console.print(f"written to {out}", markup=False, highlight=False, soft_wrap=True)
    return found


def _read(suite: Suite, data_dir: Path | None, console: Console) -> dict[str, Items]:
    with progress_bar(console) as on_progress:
        return {
            name: read_items(suite, name, data_dir, partial(on_progress, f"reading {name}")) for name in suite.parts
        }


@dataclass
class _Session:
    """What all parts share: the suite, how its model is asked and what, and the journal of what it said."""

    suite: Suite
    policy: Policy | None  # None where another engine generates
    codec: Codec
    prompts: dict[str, list[str]]
    ask: _Ask
    journal: Journal

    @classmethod
    def start(cls, suite: Suite, items: Mapping[str, Items], out: Path) -> _Session:
        """Load the model. The task it is loaded for does not matter, each part puts its own in place."""
        from rtrl_chem.models.processes import calm_libraries, processes

        calm_libraries()
        assert suite.model is not None
        task = next((part.resolved_task for part in suite.parts.values()), QUESTION)
        key = [*weights(suite.model.path), suite.backend, str(suite.max_batch_tokens), str(processes().num_processes)]
        if suite.backend == "vllm":
            codec, ask = _vllm(suite, task)
        else:
            policy = model_for_evaluation(suite.model, task)
            codec, key = policy.codec, key + versions(policy)
        model = None if suite.backend == "vllm" else policy
        # All of them now: a part that cannot be asked must not be found out after hours of another.
        prompts = {name: _prompts(model, codec, name, part, items[name].items) for name, part in suite.parts.items()}
        journal = Journal(out / f"answers-{processes().process_index}.jsonl", fingerprint(*key))
        if suite.backend != "vllm":
            ask = partial(_by_transformers, suite, policy, journal)
        return cls(suite, model, codec, prompts, ask, journal)

    def codec_of(self, task: Task, way: Direction) -> Codec:
        """The codec of the model that writes in a direction, for another task."""
        return _codec_of(self.policy, self.codec, task, way)


def _codec_of(policy: Policy | None, codec: Codec, task: Task, way: Direction) -> Codec:
    from rtrl_chem.models.codec import Codec

    own = codec if policy is None else policy.codec_along(way)
    return Codec(task, own.style, own.tokenizer, own.eos_token_ids)


def _by_transformers(suite: Suite, policy: Policy, journal: Journal, question: _Question) -> list[list[Answer]]:
    from rtrl_chem.models.generate import answer_prompts

    memory = journal.stage(f"{question.stage} {question.decoding.model_dump_json()}", question.prompts)
    with policy.along(question.direction) as one:
        return answer_prompts(
            one.model,
            question.codec,
            question.direction,
            question.prompts,
            question.decoding,
            max_batch_tokens=suite.max_batch_tokens,
            on_progress=question.advance,
            memory=memory,
        )


def _by_vllm(engine: Any, question: _Question) -> list[list[Answer]]:
    from rtrl_chem.models.vllm import answer_prompts

    return answer_prompts(
        engine, question.codec, question.direction, question.prompts, question.decoding, question.advance
    )


def _vllm(suite: Suite, task: Task) -> tuple[Codec, _Ask]:
    from rtrl_chem.data.bundled import model_path
    from rtrl_chem.models.policy import load_codec
    from rtrl_chem.models.vllm import load_engine

    assert suite.model is not None
    if sides_of(suite.model.path):
        raise ConfigError("backend: vllm takes one model, and this folder holds one for each direction; leave it out")
    engine = load_engine(suite.model, model_path(suite.model.path))
    return load_codec(suite.model, task), partial(_by_vllm, engine)


def _run_part(session: _Session, name: str, items: Items, folder: Path, console: Console) -> Measured | None:
    """Ask, write, measure what was written. None in a process that is not the main one."""
    part = session.suite.parts[name]
    with progress_bar(console) as on_progress:
        records = _predict(session, name, items.items, on_progress)
        if not round_trip.is_main_process():
            return None
        write_text(folder / PREDICTIONS_FILE, "".join(json.dumps(record) + "\n" for record in records))
        measured = _measure(session.suite, part, read_saved(folder / PREDICTIONS_FILE), on_progress)
    write_json(folder / METRICS_FILE, _describe(session.suite, name, part, items) | measured.to_json())
    return measured


def _run_guard(session: _Session, data_dir: Path | None, out: Path, console: Console) -> None:
    suite = session.suite
    if not (suite.texts or suite.questions):
        return
    assert session.policy is not None  # the file format refuses texts and questions for another engine
    for direction, own in session.policy.folders(out).items():
        side = "" if own == out else f" ({direction} model)"
        with progress_bar(console) as on_progress, session.policy.along(direction) as one:
            found = measure_guard(suite, one.model, one.codec, own, data_dir, on_progress)
        for name, guarded in found.items():
            console.print(guard_table(f"{suite.name}, {name}: {guarded.n:,} {guarded.kind}{side}", guarded))


def _predict(
    session: _Session, name: str, items: Sequence[Item], on_progress: round_trip.Progress
) -> list[dict[str, Any]]:
    """The lines of predictions.jsonl."""
    part = session.suite.parts[name]
    task, way = part.resolved_task, part.direction
    codec = session.codec_of(task, way)
    answers = _ask(session, codec, way, session.prompts[name], part.decoding, name, on_progress)
    records = [_record(item, group) for item, group in zip(items, answers, strict=True)]
    if part.round_trip:
        outputs = [[answer.text for answer in group] for group in answers]
        back = _reconstruct(session, name, task, way.opposite, outputs, part.decoding, on_progress)
        for record, texts in zip(records, back, strict=True):
            record |= _one_or_all("reconstruction", texts)
        first = [texts[0] for texts in outputs]
        for record, score in zip(records, _likelihood(session, name, part, items, first, on_progress), strict=False):
            record |= {"nats": score.nats, "tokens": score.tokens}
    return records


def _reconstruct(
    session: _Session,
    name: str,
    task: Task,
    way: Direction,
    outputs: list[list[str]],
    decoding: Decoding,
    on_progress: round_trip.Progress,
) -> list[list[str]]:
    """x_hat of each output, greedy; that of an empty output is empty."""
    codec = session.codec_of(task, way)
    flat = [output for group in outputs for output in group]
    prompts = [codec.prompt(way, output) if output else "" for output in flat]
    greedy = Decoding(max_new_tokens=decoding.max_new_tokens)
    answers = _ask(session, codec, way, prompts, greedy, f"{name}, way back", on_progress)
    texts = iter([answer.text for (answer,) in answers])
    return [[next(texts) for _ in group] for group in outputs]


def _likelihood(
    session: _Session,
    name: str,
    part: Part,
    items: Sequence[Item],
    outputs: list[str],
    on_progress: round_trip.Progress,
) -> list[Score]:
    """log p of each source given the first output, [] where another engine generates."""
    if session.policy is None:
        return []
    from rtrl_chem.models.likelihood import log_likelihoods

    task, way = part.resolved_task, part.direction
    codec, sources = session.codec_of(task, way.opposite), [item.source for item in items]
    stage, done, total = f"{name}, likelihood", 0, len(set(zip(sources, outputs, strict=True)))
    prompts = [codec.prompt(way.opposite, output) for output in dict.fromkeys(outputs)]

    def advance(finished: int) -> None:
        nonlocal done
        done += finished
        on_progress(stage, done, total)

    advance(0)
    with session.policy.along(way.opposite) as one:
        return log_likelihoods(
            one.model,
            codec,
            way,
            sources,
            outputs,
            max_batch_tokens=session.suite.max_batch_tokens,
            on_progress=advance,
            notes=session.journal.stage(stage, [*prompts, *sources, *outputs]),
        )


def _ask(
    session: _Session,
    codec: Codec,
    way: Direction,
    prompts: list[str],
    decoding: Decoding,
    stage: str,
    on_progress: round_trip.Progress,
) -> list[list[Answer]]:
    """The answers to each prompt, each distinct one asked once; "" is not asked."""
    from rtrl_chem.models.codec import Answer

    distinct = [prompt for prompt in dict.fromkeys(prompts) if prompt]
    done = 0

    def advance(finished: int) -> None:
        nonlocal done
        done += finished
        on_progress(stage, done, len(distinct))

    advance(0)
    question = _Question(codec, way, distinct, decoding, stage, advance)
    answers = session.ask(question) if distinct else []
    nothing = [Answer("", "", 0, truncated=False)] * decoding.outputs
    known = dict(zip(distinct, answers, strict=True)) | {"": nothing}
    return [known[prompt] for prompt in prompts]


def _prompts(policy: Policy | None, codec: Codec, name: str, part: Part, items: Sequence[Item]) -> list[str]:
    """The rendered prompt of each item."""
    if part.prompt is None:
        own = _codec_of(policy, codec, part.resolved_task, part.direction)
        return [own.prompt(part.direction, item.source) for item in items]
    style = codec.style
    if "{instruction}" not in style.template and any(item.context for item in items):
        columns = ", ".join(column for column, _ in items[0].context)
        raise ConfigError(
            f"{name}: prompt style {style.name} has no place for the request in words, so {columns} would be lost; "
            "set model.prompt_style to one that has, such as plain, or name the other parts with --part"
        )
    codecs: dict[tuple[tuple[str, str], ...], Codec] = {}
    for item in items:
        if item.context not in codecs:
            task = _with_prompt(part, dict(item.context))
            codecs[item.context] = _codec_of(policy, codec, task, part.direction)
    return [codecs[item.context].prompt(part.direction, item.source) for item in items]


def _with_prompt(part: Part, context: dict[str, str]) -> Task:
    assert part.prompt is not None
    prompt = fill(part.prompt, context)
    if part.direction is Direction.FORWARD:
        return replace(part.resolved_task, forward_prompt=prompt)
    return replace(part.resolved_task, reverse_prompt=prompt)


def _record(item: Item, answers: list[Answer]) -> dict[str, Any]:
    cut = [answer.truncated for answer in answers]
    record: dict[str, Any] = {"source": item.source, "target": item.target} | dict(item.context)
    record |= _one_or_all("output", [answer.text for answer in answers])
    return record | {"truncated": cut if len(cut) > 1 else cut[0]}


def _one_or_all(key: str, values: list[str]) -> dict[str, Any]:
    return {f"{key}s": values} if len(values) > 1 else {key: values[0]}


# ---- measuring ------------------------------------------------------------------------------------------------------


def _measure(suite: Suite, part: Part, saved: SavedPredictions, on_progress: round_trip.Progress) -> Measured:
    options = Options(
        fcd=suite.fcd,
        opsin=suite.referee,
        processes=processes_for(len(saved.rows)),
        resamples=suite.resamples,
        confidence=suite.confidence,
        seed=suite.seed,
    )
    task = part.resolved_task
    return score_saved(saved, task, part.direction, options, lambda done, total: on_progress("measuring", done, total))


def check_headline(name: str, part: Part) -> None:
    """ConfigError for a metric that this part cannot have, before an hour is spent on its answers."""
    ranks = part.decoding.outputs
    back = ("C",) * ranks if part.round_trip else None
    nats, tokens = (-1.0, 1) if part.round_trip else (None, None)
    row = Row(1, "C", "C" if part.target else None, ("C",) * ranks, back, nats=nats, tokens=tokens, truncated=False)
    known: dict[str, str] = {"fcd": ""}
    saved = SavedPredictions(Path(name), [row], 1)
    scores = item_scores(saved, part.resolved_task, part.direction, Options(opsin=False), known)
    known |= {score.name: score.label for score in scores}
    for metric in part.metrics:
        if metric not in known:
            raise ConfigError(f"{name}.metrics: no metric {metric!r} here: {did_you_mean(metric, known)}")


def _describe(suite: Suite, name: str, part: Part, items: Items) -> dict[str, Any]:
    """What stands above the numbers in metrics.json."""
    assert suite.model is not None
    return {
        "suite": suite.name,
        "part": name,
        "model": suite.model.path,
        "data": {
            "where": items.where,
            "rows_in": items.rows_in,
            "set_aside": items.set_aside,
            "repaired": items.repaired,
            "unreadable": items.unreadable,
            "published": items.published,
            "items": len(items.items),
            "sha256": items.fingerprint(),
        },
        "smiles": suite.smiles,
        "decoding": part.decoding.model_dump(mode="json", exclude_none=True),
        "headline": list(part.metrics),
    }


def _headline(suite: Suite, name: str, part: Part, measured: Measured) -> Table:
    """The suite's choice of metrics, with what of it could not be measured."""
    chosen = {metric: measured.metrics[metric] for metric in part.metrics if metric in measured.metrics}
    missing = {metric: measured.not_measured[metric] for metric in part.metrics if metric in measured.not_measured}
    title = f"{suite.name}, {name}: {route(part.resolved_task, part.direction)}"
    return saved_table(replace(measured, metrics=chosen, not_measured=missing), title)


def _slug(model: str) -> str:
    return re.sub(r"[^\w.-]+", "-", model).strip("-.") or "model"

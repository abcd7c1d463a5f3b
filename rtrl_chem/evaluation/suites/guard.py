"""Abilities that training does not aim at: how likely a model finds texts, and which of several answers it prefers.

OUT/PART/predictions.jsonl      text, nats, tokens, bytes, unknown (tokens); or question, choices, answer, nats, bytes
OUT/PART/metrics.json           every metric with its interval

A question is asked in the model's own prompt style, and each choice scored as the answer it would write, up to and
including the token that ends it. Choices are not shown in the prompt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtrl_chem.data.bundled import bundled_lines, is_bundled
from rtrl_chem.data.readers import open_lines
from rtrl_chem.durable import write_json, write_text
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.evaluation.files import METRICS_FILE, PREDICTIONS_FILE
from rtrl_chem.evaluation.metrics.score import Estimate, Score, Unit, estimate, mean_score
from rtrl_chem.evaluation.round_trip import Progress, is_main_process
from rtrl_chem.evaluation.suites.data import located
from rtrl_chem.evaluation.suites.schema import QuestionPart, Suite, TextPart, load_suite
from rtrl_chem.tasks import Direction, Domain, Task

if TYPE_CHECKING:
    from rtrl_chem.models.codec import Codec

__all__ = ["QUESTION", "Guarded", "guard_scores", "load_guard", "measure_guard", "read_records"]

Array = NDArray[np.float64]
Record = dict[str, Any]

# Backwards, so that the model for the way back, which scores x given y, is asked for the answer given the question.
QUESTION = Task(
    name="question",
    left=Domain(name="answer", kind="text", tag="ANSWER", prose=True),
    right=Domain(name="question", kind="text", tag="QUESTION", prose=True),
    forward_prompt="Ask a question that is answered by: {source}",
    reverse_prompt="{source}",
)
# Every position is projected to the vocabulary, in float32.
MAX_BATCH_TOKENS = 2048


@dataclass(frozen=True)
class Guarded:
    """The metrics of one part over its n texts or questions, by name; `kind` is texts or questions."""

    kind: str
    n: int
    metrics: dict[str, Estimate]
    headline: tuple[str, ...]
    confidence: float


def measure_guard(
    suite: Suite, model: Any, codec: Codec, out: Path, data_dir: Path | None = None, on_progress: Progress | None = None
) -> dict[str, Guarded]:
    """Measure the texts and questions of a suite and write `out/PART/`. `codec` gives tokenizer and style.

    CorpusError, with the line, for a file that cannot be used. Of several processes all must call this.
    """
    show = on_progress or (lambda what, done, total: None)
    found = {}
    for name, part in suite.guarded:
        with located(suite.data[part.data], data_dir, f"{suite.name}, data {part.data!r}") as (place, _):
            rows = list(_read(place, part))
        step = partial(show, name)
        if isinstance(part, TextPart):
            records = _score_texts(model, codec, [row["text"] for row in rows], part.max_tokens, step)
        else:
            records = _score_questions(model, codec, rows, step)
        found[name] = _summarise(suite, part, records)
        if is_main_process():
            lines = "".join(json.dumps(record) + "\n" for record in records)
            write_text(out / name / PREDICTIONS_FILE, lines)
            write_json(out / name / METRICS_FILE, _describe(suite, name, found[name], place))
    return found


def load_guard(given: str, data_dir: Path | None = None) -> Suite:
    """The suite that `evaluation.guard` names; ConfigError unless it has texts or questions and nothing else, and
    their files are there."""
    suite = load_suite(given)
    if suite.parts:
        raise ConfigError(f"evaluation.guard: {given} has parts to generate for; name a suite of texts and questions")
    for name, part in suite.guarded:
        with located(suite.data[part.data], data_dir, f"{suite.name}, {name}") as (place, _):
            list(_read(place, part))
    return suite


def guard_scores(records: Sequence[Record]) -> list[Score]:
    """Every metric of texts or of questions from the lines of predictions.jsonl.

    - `nats_per_token`: -sum log p / sum of tokens; depends on the tokenizer. `perplexity` is its exponential.
    - `nats_per_byte`: -sum log p / sum of UTF-8 bytes: comparable between tokenizers.
    - `accuracy`: share of questions whose right choice has the highest log p; `accuracy_per_byte`: the highest log p
      per byte, which does not favour short choices. Of equal ones the first counts.
    """
    if "choices" in records[0]:
        return [
            mean_score("accuracy", "right choice by log p", [_is_right(record, False) for record in records]),
            mean_score("accuracy_per_byte", "right choice by log p per byte", [_is_right(r, True) for r in records]),
        ]
    nats = np.array([-record["nats"] for record in records], dtype=np.float64)
    sizes = {unit: np.array([r[unit] for r in records], dtype=np.float64) for unit in ("tokens", "bytes")}
    return [
        _per("nats_per_token", "nats per token", nats, sizes["tokens"], _ratio, "tokens"),
        _per("nats_per_byte", "nats per byte", nats, sizes["bytes"], _ratio, "bytes"),
        _per("perplexity", "perplexity of a token", nats, sizes["tokens"], _perplexity, "tokens", unit="number"),
    ]


def read_records(path: Path) -> list[Record]:
    """The lines of a predictions.jsonl of ours; CorpusError if it holds none."""
    with open_lines(path) as lines:
        records = [json.loads(line) for line in lines if line]
    if not records:
        raise CorpusError(f"{path} is empty; evaluate again to write it anew")
    return records


def _per(
    name: str,
    label: str,
    nats: Array,
    size: Array,
    combine: Callable[[Array], Array],
    what: str,
    unit: Unit = "nats",
) -> Score:
    items = combine(np.column_stack([nats, size]))
    words = f"all {int(size.sum()):,} {what}"
    return Score(name, label, np.column_stack([nats, size]), combine, items, len(nats), words, unit)


def _ratio(sums: Array) -> Array:
    return np.asarray(sums[..., 0] / sums[..., 1])


def _perplexity(sums: Array) -> Array:
    return np.exp(_ratio(sums))


def _is_right(record: Record, per_byte: bool) -> bool:
    nats = np.array(record["nats"], dtype=np.float64)
    best = int((nats / np.array(record["bytes"]) if per_byte else nats).argmax())
    return bool(best == record["answer"])


def _summarise(suite: Suite, part: TextPart | QuestionPart, records: list[Record]) -> Guarded:
    metrics = estimate(guard_scores(records), suite.resamples, suite.seed, suite.confidence)
    kind = "texts" if isinstance(part, TextPart) else "questions"
    return Guarded(kind, len(records), metrics, part.metrics, suite.confidence)


def _describe(suite: Suite, name: str, found: Guarded, place: str) -> Record:
    about = {"suite": suite.name, "part": name, "data": {"where": place, "items": found.n}}
    return about | {"resamples": suite.resamples, "seed": suite.seed} | asdict(found)


# ---- reading --------------------------------------------------------------------------------------------------------


def _read(place: str, part: TextPart | QuestionPart) -> Iterator[Record]:
    """The rows of a JSONL file, checked: what is measured before and after must be the same, so none is set aside."""
    path = bundled_lines(place) if is_bundled(place) else Path(place)
    empty = True
    with open_lines(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                empty = False
                yield _parse(line, part, f"{place}, line {number}")
    if empty:
        raise CorpusError(f"{place} is empty: it must hold at least one JSON object")


def _parse(line: str, part: TextPart | QuestionPart, where: str) -> Record:
    try:
        record = json.loads(line)
        if isinstance(part, TextPart):
            text = record[part.text]
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"{part.text} must be a text that is not empty")
            return {"text": text}
        return _parse_question(record[part.question], record[part.choices], record[part.answer])
    except (ValueError, KeyError, TypeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise CorpusError(f"{where}: {reason}; see eval/README.md for the fields of texts and questions") from None


def _parse_question(question: Any, choices: Any, answer: Any) -> Record:
    if not isinstance(question, str) or not isinstance(choices, list) or len(choices) < 2:
        raise ValueError("question must be a text and choices a list of two or more")
    if not all(isinstance(choice, str) and choice.strip() for choice in choices):
        raise ValueError("choices must be texts that are not empty")
    index = choices.index(answer) if isinstance(answer, str) and answer in choices else answer
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(choices):
        raise ValueError(f"answer must be one of the choices or its place from 0, got {answer!r}")
    return {"question": question, "choices": choices, "answer": index}


# ---- scoring --------------------------------------------------------------------------------------------------------


def _score_texts(
    model: Any, codec: Codec, texts: list[str], max_tokens: int, step: Callable[[int, int], None]
) -> list[Record]:
    """log p of each text in nats, begun by the tokenizer's own first token (BOS, else end-of-sequence)."""
    from rtrl_chem.models.batching import token_batches
    from rtrl_chem.models.generate import inference_mode_of
    from rtrl_chem.models.reverse import batch_nats

    tokenizer = codec.tokenizer
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    longest = min(max_tokens, getattr(model.config, "max_position_embeddings", None) or max_tokens)
    ids = [row[: longest - 1] for row in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    records: list[Record] = [{} for _ in texts]
    done = 0
    with inference_mode_of(model):
        for batch in token_batches([len(row) + 1 for row in ids], MAX_BATCH_TOKENS):
            rows = [[start, *ids[i]] for i in batch]
            nats = batch_nats(model, rows, [len(ids[i]) for i in batch], tokenizer.pad_token_id)
            for i, value in zip(batch, nats, strict=True):
                records[i] = _text_record(tokenizer, texts[i], ids[i], value)
            done += len(batch)
            step(done, len(texts))
    return records


def _text_record(tokenizer: Any, text: str, ids: list[int], nats: float) -> Record:
    # Of a text that was cut only the part that was scored has bytes.
    scored = text if len(tokenizer(text, add_special_tokens=False)["input_ids"]) == len(ids) else tokenizer.decode(ids)
    unknown = sum(token == tokenizer.unk_token_id for token in ids)
    return {"text": text, "nats": nats, "tokens": len(ids), "bytes": len(scored.encode()), "unknown": unknown}


def _score_questions(model: Any, codec: Codec, rows: list[Record], step: Callable[[int, int], None]) -> list[Record]:
    """log p of each choice given its question, in nats."""
    from rtrl_chem.models.codec import Codec
    from rtrl_chem.models.reverse import ReverseModel
    from rtrl_chem.models.snapshot import FrozenModel

    asked = Codec(QUESTION, codec.style, codec.tokenizer, codec.eos_token_ids)
    scorer = ReverseModel(FrozenModel(model), asked, Direction.FORWARD, MAX_BATCH_TOKENS)
    pairs = [(choice, row["question"]) for row in rows for choice in row["choices"]]
    step(0, len(rows))
    scores = iter(scorer.log_likelihood([choice for choice, _ in pairs], [question for _, question in pairs]))
    records = []
    for row in rows:
        nats = [next(scores).nats for _ in row["choices"]]
        records.append(row | {"nats": nats, "bytes": [len(choice.encode()) for choice in row["choices"]]})
    step(len(rows), len(rows))
    return records

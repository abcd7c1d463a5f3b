"""The files of an evaluation: `predictions.jsonl`, one line per item, and JSON summaries."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rtrl_chem.durable import write_text
from rtrl_chem.errors import RtrlError
from rtrl_chem.rewards.verdict import Verdict

__all__ = [
    "METRICS_FILE",
    "PREDICTIONS_FILE",
    "Prediction",
    "read_json",
    "read_predictions",
    "write_predictions",
]

PREDICTIONS_FILE = "predictions.jsonl"
METRICS_FILE = "metrics.json"


@dataclass(frozen=True)
class Prediction:
    """One item: x, y, x_hat, the label (None without one), the verdict on y, whether the referee read y as x,
    log p(x | y) in `nats` over so many `tokens` of x, and whether y was cut off by the token limit.

    `referee` is None where there was no referee, `nats` and `tokens` where nothing was scored; whatever the model alone
    can tell is None in predictions of others.
    """

    source: str
    output: str
    reconstruction: str | None = None
    target: str | None = None
    verdict: Verdict | None = None
    referee: bool | None = None
    nats: float | None = None
    tokens: int | None = None
    truncated: bool | None = None


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """One JSON object per line, in ASCII: a lone surrogate, which byte-level tokenizers can write, survives."""
    write_text(path, "".join(json.dumps(asdict(p)) + "\n" for p in predictions))


def read_predictions(path: Path) -> list[Prediction]:
    """The items of a file in its order; RtrlError with file and line for what is no prediction."""
    found = []
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if line:
            found.append(_prediction(line, f"{path}, line {number}"))
    return found


def read_json(path: Path) -> Any:
    """The content of a JSON file; RtrlError if it cannot be read."""
    try:
        return json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise RtrlError(f"{path} is not JSON ({error}): evaluate again to write it anew") from None


def _prediction(line: str, where: str) -> Prediction:
    try:
        record = json.loads(line)
        verdict = record.get("verdict")
        return Prediction(
            source=record["source"],
            output=record["output"],
            reconstruction=record.get("reconstruction"),
            target=record.get("target"),
            verdict=Verdict(verdict) if verdict else None,
            referee=record.get("referee"),
            nats=record.get("nats"),
            tokens=record.get("tokens"),
            truncated=record.get("truncated"),
        )
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise RtrlError(
            f"{where}: not a prediction ({error!r}); it must be a JSON object with source, output"
        ) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RtrlError(f"{path} cannot be read ({error}): evaluate again to write it anew") from None

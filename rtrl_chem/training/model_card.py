"""The card that goes with a trained model: what it was trained from, how, and what it measured."""

from __future__ import annotations

from collections.abc import Sequence

from rtrl_chem import __version__
from rtrl_chem.config import CORPUS_KEYS, Config
from rtrl_chem.evaluation.measure import DETAILS
from rtrl_chem.evaluation.summary import Summary

__all__ = ["model_card"]

ARRANGED = {
    "adapters": "`forward/` and `reverse/` are LoRA adapters over the start model, one for each direction.",
    "separate": "`forward/` and `reverse/` are models of their own, one for each direction.",
}


def model_card(config: Config, summary: Summary | None, notes: Sequence[str] = ()) -> str:
    """README.md of an exported model, with the metadata block that the Hub reads. `notes` are sentences on how the run
    went, such as why it ended early."""
    phases = (" + " if config.schedule == "joint" else " -> ").join(map(str, config.directions))
    lines = [
        "---",
        "library_name: transformers",
        "tags: [chemistry, round-trip-rl, rtrl-chem]",
        "---",
        "",
        f"# {config.task} model trained by rtrl-chem {__version__}",
        "",
        f"Start model: `{config.model.path}`. Algorithm: {config.algorithm}, {config.rounds} rounds of {phases}, "
        f"{config.steps_per_phase} steps each, seed {config.seed}.",
        "",
        *([f"Regime: {' + '.join(config.regimes)}.", ""] if config.regimes != ("self_supervised",) else []),
        *([ARRANGED[config.models], ""] if config.models in ARRANGED else []),
        *([" ".join(notes), ""] if notes else []),
        "Training data: " + ", ".join(f"{k} `{v}`" for k, v in _data(config).items() if v is not None) + ".",
        "",
        *(_results(summary) if summary else ["It was not measured before training."]),
        "",
        "## Limits",
        "",
        "A higher round-trip consistency says that the model agrees with itself, not that it is right: look at the",
        "metrics against labels and at the referee's beside it. Licence and intended use are those of the start model",
        "and its data.",
        "",
    ]
    return "\n".join(lines)


def _data(config: Config) -> dict[str, object]:
    """The section `data`; of a mixture, each path with its weight."""
    section: dict[str, object] = config.data.model_dump()
    for key in CORPUS_KEYS:
        if isinstance(getattr(config.data, key), tuple):
            section[key] = ", ".join(f"{one.path} (weight {one.weight:g})" for one in getattr(config.data, key))
    return section


def _results(summary: Summary) -> list[str]:
    rows = [
        f"| {direction} | {change.label} | {change.before:.4g} | {change.after:.4g} | {change.difference:+.4g} "
        f"[{change.low:+.4g}, {change.high:+.4g}] | {change.n} |"
        for direction, changes in summary.directions.items()
        for name, change in changes.metrics.items()
        if name not in DETAILS
    ]
    head = f"| direction | metric | before | after | difference [{summary.confidence:.0%} interval] | items |"
    return ["## Held-out results", "", head, "| --- | --- | --- | --- | --- | --- |", *rows]

"""The card that goes with a trained model: what it was trained from, how, and what it measured."""

from __future__ import annotations

from rtrl_chem import __version__
from rtrl_chem.config import CORPUS_KEYS, Config
from rtrl_chem.evaluation.summary import Summary

__all__ = ["model_card"]


def model_card(config: Config, summary: Summary | None) -> str:
    """README.md of an exported model, with the metadata block that the Hub reads."""
    phases = " -> ".join(map(str, config.directions))
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
        for change in changes.metrics.values()
    ]
    head = f"| direction | metric | before | after | difference [{summary.confidence:.0%} interval] | items |"
    return ["## Held-out results", "", head, "| --- | --- | --- | --- | --- | --- |", *rows]

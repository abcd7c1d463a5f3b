"""Which checkpoints of a run stay on disk, and which stage of it was the best: transformers' options of those names,
for the whole run.

A run goes on from one checkpoint, and its guards may have to go back to another. Beside these stay the best stage's
(`metric_for_best_model`) and those of the newest `save_total_limit` rounds. Everything else is removed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtrl_chem.config import Config
from rtrl_chem.evaluation.compare import LOWER_IS_BETTER
from rtrl_chem.training.checkpoints import drop_checkpoint, load_checkpoint
from rtrl_chem.training.phase import Phase, plan
from rtrl_chem.training.run_folder import State

if TYPE_CHECKING:
    from rtrl_chem.training.rounds import Run

__all__ = ["best_problem", "best_with", "checkpoint_after", "kept", "load_best", "tidy"]


def checkpoint_after(phase: Phase) -> str:
    """Where the checkpoint at the end of a phase lies in the run folder."""
    return (phase.folder(Path()) / f"checkpoint-{phase.first_step + phase.steps}").as_posix()


def tidy(run: Run) -> None:
    """Remove the checkpoints that need not stay. For the main process, when state.json is written.

    It goes by what lies under rounds/, never by a path that state.json names: that may be someone else's file.
    """
    stay = {run.folder.path / name for name in kept(run.config, run.state)}
    for folder in (run.folder.path / "rounds").glob("*/checkpoint-*"):
        if folder not in stay:
            drop_checkpoint(folder)


def kept(config: Config, state: State) -> set[str]:
    """The checkpoints that stay."""
    best = state.best["checkpoint"] if state.best else None
    needed = {name for name in (state.checkpoint, state.good, best) if name is not None}
    limit = config.trainer.get("save_total_limit", 0)
    ends = [name for name in _ends_of_stages(config, state) if name != state.checkpoint]
    return needed | set(ends if limit is None else ends[max(0, len(ends) - limit) :])


def _ends_of_stages(config: Config, state: State) -> list[str]:
    """The checkpoints at the ends of the rounds (and of a warm-up) that were not taken back, oldest first."""
    last = {phase.stage: phase for phase in plan(config)}
    taken_back = {one["stage"] for one in state.stages if not one["kept"]}
    done = [phase for phase in last.values() if phase.index < state.phases_done and phase.stage not in taken_back]
    return [checkpoint_after(phase) for phase in done]


def best_problem(config: Config, values: Mapping[str, float]) -> str | None:
    """Why the best stage cannot be told by these measured values of one; None if it can, or nobody asks."""
    metric = config.trainer.get("metric_for_best_model")
    if metric is None or metric in values:
        return None
    known = ", ".join(values)
    return f"trainer.metric_for_best_model: {metric} cannot be measured on the validation items; measured are {known}"


def best_with(config: Config, state: State, stage: str, values: Mapping[str, float]) -> dict[str, Any] | None:
    """The best stage, now that one more with these values has `state.checkpoint`; of equals the earlier one. None where
    no metric is named. A value that is no number is that of a ruined model."""
    metric = config.trainer.get("metric_for_best_model")
    value = math.nan if metric is None else values.get(metric, math.nan)
    if metric is None or math.isnan(value):
        return state.best
    if state.best is not None and not _is_better(config, metric, value, state.best["value"]):
        return state.best
    return {"stage": stage, "checkpoint": state.checkpoint, "metric": metric, "value": value}


def _is_better(config: Config, metric: str, value: float, than: float) -> bool:
    greater = config.trainer.get("greater_is_better")
    if greater is None:
        greater = metric.rsplit("/", 1)[-1] not in LOWER_IS_BETTER
    return value > than if greater else value < than


def load_best(run: Run) -> None:
    """Give the policy the weights of the best stage, where the config asks for that. Every process must call it."""
    best = run.state.best
    if best is None or not run.config.trainer.get("load_best_model_at_end"):
        return
    if best["checkpoint"] != run.state.checkpoint:
        load_checkpoint(run.policy, run.config, run.folder.path / best["checkpoint"])
    run.display.say(f"the best model is that of {best['stage']}: {best['metric']} {best['value']:.4g}")

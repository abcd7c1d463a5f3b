"""Do no harm: after each round the policy is measured on validation items, and goes back where it got worse.

evaluation/validation/STAGE/{forward,reverse,guard}   what was measured at the start, after a warm-up, after each round

A stage is judged metric by metric, each against the stage that was best in it so far, on the same items in pairs: worse
is a difference whose whole interval lies on the wrong side of zero. What is decided stands in state.json, `stages` and
`stopped`, and as an `event` in metrics.jsonl.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtrl_chem.errors import ConfigError
from rtrl_chem.evaluation.compare import LOWER_IS_BETTER
from rtrl_chem.evaluation.held_out import HeldOut
from rtrl_chem.evaluation.summary import GUARD, Change, Summary, summarise
from rtrl_chem.evaluation.tables import change_in_words
from rtrl_chem.models.processes import processes, shared
from rtrl_chem.training.checkpoints import load_checkpoint, save_checkpoint
from rtrl_chem.training.keep import best_problem, best_with, tidy
from rtrl_chem.training.phase import Kind, Phase

if TYPE_CHECKING:
    from rtrl_chem.training.rounds import Run

__all__ = ["LOWER_IS_BETTER", "Guard", "Judgement", "judge", "limit_passed", "plateau"]

START = "start"
DEFAULT = ("rtc", "exact_match", "referee", "leak_rate")
# What the round trip must not part from: an outside judge, or labels where there is none.
INDEPENDENT = ("referee", "exact_match")
GUARD_METRICS = ("nats_per_byte", "accuracy")  # the others of texts and questions say the same again

# Values of a stage by key: "forward/rtc", "guard/texts/nats_per_byte".
Values = dict[str, float]
# A comparison of a stage with an earlier one, by the earlier one's name: the changes by key.
Compare = Callable[[str], Mapping[str, Change]]


@dataclass(frozen=True)
class Judgement:
    """What was found at the end of a stage: whether it got worse and in what, and why the run should end, if it
    should."""

    worse: tuple[str, ...] = ()
    diverged: str | None = None


def judge(
    stages: Sequence[Mapping[str, Any]], values: Values, watched: Iterable[str], divergence: bool, compare: Compare
) -> Judgement:
    """Judge a stage with these `values`; `stages` are the earlier ones that were kept, each with `stage` and `values`.

    `watched` are keys; `compare` is asked at most once for each earlier stage.
    """
    known: dict[str, Mapping[str, Change]] = {}

    def change(key: str, reference: str) -> Change | None:
        if reference not in known:
            known[reference] = compare(reference)
        return known[reference].get(key)

    worse = []
    for key in watched:
        reference = _best(stages, key)
        found = change(key, reference) if reference and key in values else None
        if found is not None and reference and _fell(key, found):
            worse.append(f"{_where(key)}{change_in_words(found)} against {reference}")
    diverged = _divergence(stages, values, change) if divergence else None
    return Judgement(tuple(worse), diverged)


def limit_passed(rows: Iterable[Mapping[str, Any]], max_kl: float | None, min_entropy: float | None) -> str | None:
    """Why the logged steps of a phase (rows of metrics.jsonl) are beyond a limit at its end, the mean of the last tenth
    of them; None if they are not."""
    rows = list(rows)
    for key, limit, sign in (("kl", max_kl, 1), ("entropy", min_entropy, -1)):
        logged = [row[key] for row in rows if isinstance(row.get(key), (int, float))]
        if limit is None or not logged:
            continue
        last = logged[-max(1, len(logged) // 10) :]
        mean = sum(last) / len(last)
        if sign * (mean - limit) > 0:
            return f"{key} is {mean:.4g} nats a token, {'above' if sign > 0 else 'below'} {limit:g}"
    return None


def plateau(phases: Iterable[Mapping[str, Any]], rounds: int, gain: float) -> str | None:
    """Why the rewards of the phases done (rows of state.json) have stopped rising; None if one has not: in the last
    `rounds` rounds no direction's mean reward was more than `gain` above all it had been before."""
    rewards: dict[str, list[float]] = {}
    for phase in phases:
        if phase.get("kind") == str(Kind.RL) and phase["reward_last"] is not None:
            rewards.setdefault(phase["direction"], []).append(phase["reward_last"])
    if not rewards or any(len(found) <= rounds for found in rewards.values()):
        return None
    if any(max(found[-rounds:]) > max(found[:-rounds]) + gain for found in rewards.values()):
        return None
    best = ", ".join(f"{way} {max(found):.4g}" for way, found in rewards.items())
    return f"no reward rose by more than {gain:g} in {rounds} round{'s' * (rounds > 1)} (best: {best})"


class Guard:
    """Measures a run between its phases, and takes it back or ends it. Every process must call its methods.

    `measure` evaluates the policy on the validation items into a folder, and gives the main process the values.
    """

    def __init__(self, run: Run, validation: HeldOut, measure: Callable[[HeldOut, Path, str], Values]) -> None:
        assert run.config.guards is not None
        self.run = run
        self.options = run.config.guards
        self.validation = validation
        self.folder = run.folder.path / "evaluation" / "validation"
        self._measure = measure

    def start(self) -> None:
        """Measure the start model and keep it: the first round may have to go back to it. ConfigError for a metric that
        was named and has no value."""
        run = self.run
        if run.state.stages:
            return
        checkpoint = run.folder.path / "rounds" / START / "checkpoint-0"
        if processes().is_main_process:
            save_checkpoint(run.policy, checkpoint)
        values = self._measure(self.validation, self.folder / START, "at the start, on validation items")
        missing = shared(self._missing(values) if processes().is_main_process else [])
        if missing:
            raise ConfigError(
                f"guards.metrics: {', '.join(missing)} cannot be measured on the validation items "
                f"({self.validation.origin}); give labelled guards.pairs or leave it out"
            )
        if problem := shared(best_problem(run.config, values) if processes().is_main_process else None):
            raise ConfigError(problem)
        run.state.good = run.state.checkpoint = str(checkpoint.relative_to(run.folder.path))
        self._record(START, 0, values, kept=True)
        self._save()

    def after_phase(self, phase: Phase) -> None:
        """End the run where a phase went beyond a limit."""
        limits = (self.options.max_kl, self.options.min_entropy)
        if phase.kind is not Kind.RL or limits == (None, None):
            return
        last = phase.first_step + phase.steps
        rows = [row for row in self.run.folder.metrics() if phase.first_step < row.get("step", 0) <= last]
        reason = shared(limit_passed(rows, *limits))
        if reason:
            self._end(last, f"{phase.stage} {phase.way}: {reason}")

    def after_stage(self, phase: Phase) -> None:
        """Measure a round (or a warm-up) and keep it, go back, or end the run."""
        last = phase.first_step + phase.steps
        if not self._recorded(phase.stage):  # it may have been judged before the run was killed
            self._judge_stage(phase.stage, last)
        [entry] = self._recorded(phase.stage)
        if entry["kept"]:
            self._stop_at_plateau(phase, last)

    # ---- parts ------------------------------------------------------------------------------------------------------

    def _recorded(self, stage: str) -> list[dict[str, Any]]:
        return [one for one in self.run.state.stages if one["stage"] == stage]

    def _judge_stage(self, stage: str, last: int) -> None:
        """Measure a stage and decide what becomes of it; state.json has the decision once all of it is logged."""
        values = self._measure(self.validation, self.folder / stage, f"after {stage}, on validation items")
        found = shared(self._judge(stage, values) if processes().is_main_process else Judgement())
        for line in found.worse:
            self.run.display.say(f"guard: worse in {line}")
        back = bool(found.worse) and self.options.on_regression != "ignore"
        kept = not back and found.diverged is None
        self._record(stage, last, values, kept, [*found.worse, *filter(None, [found.diverged])])
        if found.diverged is not None:
            self._end(last, f"{stage}: {found.diverged}")
        elif back and self.options.on_regression == "stop":
            self._end(last, f"{stage} got worse in {'; '.join(found.worse)}")
        elif back:
            self._log(last, "rolled back", stage, list(found.worse))
            self._go_back()
            self.run.display.say(f"guard: {stage} is rolled back to the last good model")
        else:
            if found.worse:
                self._log(last, "regression ignored", stage, list(found.worse))
            self._keep()

    def _judge(self, stage: str, values: Values) -> Judgement:
        kept = [one for one in self.run.state.stages if one["kept"]]
        watched = [key for key in values if self._watches(key)]
        return judge(kept, values, watched, self.options.divergence, lambda other: self._changes(other, stage))

    def _changes(self, reference: str, stage: str) -> dict[str, Change]:
        config = self.run.config
        summary = summarise(
            self.run.policy.codec.task,
            self.folder / reference,
            self.folder / stage,
            confidence=config.evaluation.confidence,
            resamples=config.evaluation.resamples,
            seed=config.seed,
        )
        return by_key(summary)

    def _watches(self, key: str) -> bool:
        part, metric = key.split("/", 1)[0], key.rsplit("/", 1)[-1]
        names = self.options.metrics or DEFAULT
        return GUARD in names and metric in GUARD_METRICS if part == GUARD else metric in names

    def _missing(self, values: Values) -> list[str]:
        """Metrics that were named and have no value in any direction."""
        found = {GUARD if key.startswith(GUARD) else key.rsplit("/", 1)[-1] for key in values}
        return [name for name in self.options.metrics or () if name not in found]

    def _stop_at_plateau(self, phase: Phase, last: int) -> None:
        rounds = self.options.plateau_rounds
        if rounds is None or phase.round is None:
            return
        reason = plateau(self.run.state.phases, rounds, self.options.plateau_gain)
        if reason := shared(reason):
            self._end(last, f"{phase.stage}: {reason}")

    # ---- what is done about it --------------------------------------------------------------------------------------

    def _record(self, stage: str, step: int, values: Values, kept: bool, found: Sequence[str] = ()) -> None:
        entry = {"stage": stage, "step": step, "kept": kept, "values": values, "found": list(found)}
        self.run.state.stages.append(entry)
        if kept:
            self.run.state.best = shared(best_with(self.run.config, self.run.state, stage, values))

    def _keep(self) -> None:
        """The policy as it is becomes the one to go back to."""
        self.run.state.good = self.run.state.checkpoint
        self._save()

    def _go_back(self) -> None:
        """Take the last good weights, and forget those of now."""
        state = self.run.state
        assert state.good is not None
        state.checkpoint = state.good
        self._save()
        load_checkpoint(self.run.policy, self.run.config, self.run.folder.path / state.good)

    def _end(self, step: int, reason: str) -> None:
        """No further phase: the run ends with the last good model."""
        self.run.state.stopped = reason
        self._log(step, "stopped", self.run.state.good or START, [reason])
        self._go_back()
        self.run.display.say(f"guard: the run stops early with the last good model: {reason}")

    def _save(self) -> None:
        if processes().is_main_process:
            self.run.folder.save_state(self.run.state)
            tidy(self.run)
        processes().wait_for_everyone()

    def _log(self, step: int, event: str, stage: str, reasons: list[str]) -> None:
        """Once, though a run that is killed before the decision is saved decides again."""
        row = {"step": step, "event": event, "stage": stage, "reasons": reasons}
        if processes().is_main_process:
            self.run.folder.append_once(row)


def by_key(summary: Summary) -> dict[str, Change]:
    """Every change of a summary: "forward/rtc", "guard/texts/nats_per_byte"."""
    changes = {str(direction): found for direction, found in summary.directions.items()}
    changes |= {f"{GUARD}/{name}": found for name, found in summary.guard.items()}
    return {f"{where}/{name}": change for where, found in changes.items() for name, change in found.metrics.items()}


def _where(key: str) -> str:
    return key.rsplit("/", 1)[0] + ": "


def _best(stages: Sequence[Mapping[str, Any]], key: str) -> str | None:
    """The stage with the best value of a metric, the latest of equals."""
    sign = -1 if key.rsplit("/", 1)[-1] in LOWER_IS_BETTER else 1
    best = max((sign * one["values"][key] for one in stages if key in one["values"]), default=None)
    return next((one["stage"] for one in reversed(stages) if sign * one["values"].get(key, float("nan")) == best), None)


def _fell(key: str, change: Change) -> bool:
    """Whether the whole interval of the difference lies on the wrong side of zero."""
    return change.low > 0 if key.rsplit("/", 1)[-1] in LOWER_IS_BETTER else change.high < 0


def _divergence(
    stages: Sequence[Mapping[str, Any]], values: Values, change: Callable[[str, str], Change | None]
) -> str | None:
    """Where the round trip rose and its independent judge fell, both since the judge's best."""
    for way in dict.fromkeys(key.split("/", 1)[0] for key in values):
        judge_key = next((f"{way}/{name}" for name in INDEPENDENT if f"{way}/{name}" in values), None)
        reference = _best(stages, judge_key) if judge_key else None
        if not judge_key or not reference:
            continue
        trip, truth = change(f"{way}/rtc", reference), change(judge_key, reference)
        if trip is not None and truth is not None and trip.low > 0 and truth.high < 0:
            return f"{way}: {change_in_words(trip)} while {change_in_words(truth)} since {reference}"
    return None

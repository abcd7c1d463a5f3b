"""The round loop: snapshot, phase, swap, again. After each phase all is on disk, and a killed run goes on there."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object

from rtrl_chem.config import Config
from rtrl_chem.evaluation.held_out import TrainingItems
from rtrl_chem.models.policy import Policy, save_policy
from rtrl_chem.models.processes import processes
from rtrl_chem.models.reverse import ReverseModel
from rtrl_chem.models.snapshot import Snapshot, take_snapshot
from rtrl_chem.rewards.compose import Judged, RoundTripReward
from rtrl_chem.tasks.base import Direction
from rtrl_chem.training.arguments import grpo_arguments, samples_per_step, sft_arguments, sources_per_phase
from rtrl_chem.training.grpo import run_grpo
from rtrl_chem.training.phase import Phase, PhaseResult, plan
from rtrl_chem.training.progress import Display, StepLog
from rtrl_chem.training.run_folder import RunFolder, State, write_completions
from rtrl_chem.training.sft import Example, best_of, run_sft
from rtrl_chem.training.sources import pairs_for, sources_for

__all__ = ["Run", "train_rounds"]

Samples = list[tuple[int, Judged]]


@dataclass
class Run:
    """What every phase of a run needs."""

    config: Config
    policy: Policy
    items: TrainingItems
    folder: RunFolder
    state: State
    display: Display


def train_rounds(run: Run, after_round: Any = None) -> None:
    """Train every phase that is not done yet. `after_round(number)` is called when all directions of a round are."""
    phases = plan(run.config)
    snapshot: Snapshot | None = None
    for phase in phases[run.state.phases_done :]:
        if snapshot is None:
            snapshot = take_snapshot(run.policy.model)
        else:
            snapshot.refresh(run.policy.model)
        with run.display.phase(phase):
            result, samples = _run_phase(run, phase, snapshot)
        _finish(run, phase, result, samples)
        if after_round and (phase is phases[-1] or phases[phase.index + 1].round != phase.round):
            after_round(phase.round)


def _run_phase(run: Run, phase: Phase, snapshot: Snapshot) -> tuple[PhaseResult, Samples]:
    codec, config = run.policy.codec, run.config
    reverse = ReverseModel(snapshot, codec, phase.direction, config.evaluation.max_batch_tokens)
    reward = RoundTripReward(codec, phase.direction, reverse, config.rewards)
    algorithm = {"grpo": _grpo, "sft": _sft, "expert_iteration": _expert_iteration}[config.algorithm]
    result, samples = algorithm(run, phase, reward)
    if reverse.requests:
        repeats = 1 - reverse.scored / reverse.requests
        run.display.say(f"  reverse model: {reverse.requests:,} scores, {repeats:.0%} of them remembered")
    return result, samples


def _grpo(run: Run, phase: Phase, reward: RoundTripReward) -> tuple[PhaseResult, Samples]:
    arguments = grpo_arguments(run.config, phase, phase.folder(run.folder.path))
    sources = _sources(run, phase, sources_per_phase(arguments), reward)
    return run_grpo(run.policy, reward, arguments, sources, [_log(run, phase)])


def _sft(run: Run, phase: Phase, reward: RoundTripReward) -> tuple[PhaseResult, Samples]:
    arguments = sft_arguments(run.config, phase, phase.folder(run.folder.path), phase.steps)
    pairs = pairs_for(run.config, run.items, phase, phase.steps * samples_per_step(arguments))
    swapped = phase.direction is Direction.REVERSE
    examples = [Example(phase.direction, *(pair[::-1] if swapped else pair)) for pair in pairs]
    return run_sft(run.policy, examples, arguments, [_log(run, phase)]), []


def _expert_iteration(run: Run, phase: Phase, reward: RoundTripReward) -> tuple[PhaseResult, Samples]:
    """Sample for as many sources as the phase's steps can learn from, keep the best of each, learn them in one pass."""
    sampling, config = _split_sampling(run.config)
    n = sampling.get("num_generations", 8)
    arguments = sft_arguments(config, phase, phase.folder(run.folder.path))
    count = phase.steps * samples_per_step(arguments)
    sources = list(dict.fromkeys(_sources(run, phase, count, reward)))
    best, judged = best_of(
        run.policy,
        reward,
        sources,
        phase.seed,
        max_new_tokens=run.config.max_new_tokens,
        max_batch_tokens=run.config.evaluation.max_batch_tokens,
        num_samples=n,
        temperature=sampling.get("temperature", 1.0),
    )
    run.display.say(f"  kept the best of {n} for {len(best):,} of {len(sources):,} sources")
    examples = [Example(phase.direction, one.source, one.output) for one in best]
    result = run_sft(run.policy, examples, arguments, [_log(run, phase)])
    parts = dict(reward.stopwatch.seconds)
    result = replace(result, samples=len(judged), seconds=result.seconds + sum(parts.values()), parts=parts)
    share = processes().process_index, processes().num_processes
    return result, [(0, one) for one in judged[share[0] :: share[1]]]


def _split_sampling(config: Config) -> tuple[dict[str, Any], Config]:
    """The sampling fields of `trainer`, and a config whose `trainer` is without them."""
    from rtrl_chem.passthrough import SAMPLING

    sampling = {key: value for key, value in config.trainer.items() if key in SAMPLING}
    rest = {key: value for key, value in config.trainer.items() if key not in SAMPLING}
    return sampling, config.model_copy(update={"trainer": rest})


def _sources(run: Run, phase: Phase, count: int, reward: RoundTripReward) -> list[str]:
    found = sources_for(run.policy, run.config, run.items, phase, count, reward.reverse)
    run.display.say(f"round {phase.round + 1} {phase.direction}: {count:,} sources, {found.origin}")
    return found.items


def _log(run: Run, phase: Phase) -> StepLog:
    return StepLog(phase, run.folder, run.display, write=processes().is_main_process)


def _finish(run: Run, phase: Phase, result: PhaseResult, samples: Samples) -> None:
    """Write the phase's samples and checkpoint, then say in state.json that it is done: in this order."""
    everyone = sorted(gather_object(samples), key=lambda row: row[0])
    folder = phase.folder(run.folder.path)
    checkpoint = folder / f"checkpoint-{phase.first_step + phase.steps}"
    if processes().is_main_process:
        if everyone:
            write_completions(folder / "completions.parquet", everyone)
        _save_checkpoint(run.policy, checkpoint)
        earlier, run.state.checkpoint = run.state.checkpoint, str(checkpoint.relative_to(run.folder.path))
        run.state.phases_done = phase.index + 1
        named = {"round": phase.round, "direction": str(phase.direction), "samples_kept": len(everyone)}
        run.state.phases.append(named | asdict(result))
        run.folder.save_state(run.state)
        if earlier:
            shutil.rmtree(run.folder.path / earlier, ignore_errors=True)
    processes().wait_for_everyone()
    change = ""
    if result.reward_first is not None:
        change = f", reward {result.reward_first:.3f} -> {result.reward_last:.3f}"
    run.display.say(f"  {result.steps} steps in {result.seconds:.0f} s{change}")


def _save_checkpoint(policy: Policy, folder: Path) -> None:
    """Under a temporary name first: a folder with the final name is complete."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    save_policy(policy, partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)

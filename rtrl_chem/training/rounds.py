"""The round loop: snapshot, phase, swap, again. After each phase all is on disk, and a killed run goes on there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from accelerate.utils import gather_object

from rtrl_chem.config import Config
from rtrl_chem.evaluation.held_out import TrainingItems
from rtrl_chem.models.policy import Policy
from rtrl_chem.models.processes import processes
from rtrl_chem.models.reverse import ReverseModel
from rtrl_chem.passthrough import SAMPLING, trainer_fields
from rtrl_chem.rewards.compose import Judged, RoundTripReward, Stopwatch
from rtrl_chem.rewards.degenerate import measure_degenerate
from rtrl_chem.tasks.base import Direction
from rtrl_chem.training.arguments import grpo_arguments, samples_per_step, sft_arguments, sources_per_phase
from rtrl_chem.training.checkpoints import save_checkpoint
from rtrl_chem.training.grpo import run_grpo
from rtrl_chem.training.interrupts import Interrupts
from rtrl_chem.training.joint import JointReward, dealt_out
from rtrl_chem.training.keep import checkpoint_after, tidy
from rtrl_chem.training.phase import Kind, Phase, PhaseResult, plan
from rtrl_chem.training.progress import Display, StepLog
from rtrl_chem.training.resumable import Keeping
from rtrl_chem.training.run_folder import RunFolder, State, write_completions
from rtrl_chem.training.sft import Example, best_of, run_sft
from rtrl_chem.training.sources import NothingWritten, Sources, answers_for, next_pairs, pairs_for, sources_for
from rtrl_chem.training.synthetic import KEPT, Made, describe, make_pairs, write_made
from rtrl_chem.training.unfinished import Unfinished

__all__ = ["Run", "train_rounds"]

Samples = list[tuple[int, Judged]]
Rewards = dict[Direction, RoundTripReward]


@dataclass
class Run:
    """What every phase of a run needs."""

    config: Config
    policy: Policy
    items: TrainingItems
    folder: RunFolder
    state: State
    display: Display
    interrupts: Interrupts = field(default_factory=Interrupts)

    def unfinished(self, phase: Phase) -> Unfinished:
        """What a phase keeps until it is done."""
        return self.unfinished_in(self.folder, phase)

    @staticmethod
    def unfinished_in(folder: RunFolder, phase: Phase) -> Unfinished:
        """The same in a run's folder alone."""
        return Unfinished(phase.folder(folder.path) / f"unfinished-{phase.index:02d}")

    def keeping(self, phase: Phase) -> Keeping:
        """How a phase is kept: `trainer.save_steps` below 1 is a share of its steps, as in transformers."""
        given = self.config.save_steps
        every = math.ceil(given * phase.steps) if given < 1 else int(given)
        return Keeping(self.unfinished(phase), every, self.interrupts)


def train_rounds(run: Run, aftermath: Callable[[Phase, bool], None] = lambda phase, last: None) -> None:
    """Train every phase that is not done yet, until `run.state.stopped` says why no more.

    `aftermath(phase, last)` is called after each, `last` being whether it was the last phase of a round, or of a
    warm-up. A run that was killed in it goes on with it. Interrupted if a signal came, after saving.
    """
    phases = plan(run.config)
    for phase in phases[max(run.state.closed, run.state.phases_done - 1) :]:
        if run.state.stopped:
            return
        run.interrupts.check()
        if phase.index >= run.state.phases_done:
            with run.display.phase(phase):
                result, samples = _guarded_phase(run, phase)
            _finish(run, phase, result, samples)
        aftermath(phase, phase is phases[-1] or phases[phase.index + 1].stage != phase.stage)
        run.state.closed = phase.index + 1
        if processes().is_main_process:
            run.folder.save_state(run.state)


def _guarded_phase(run: Run, phase: Phase) -> tuple[PhaseResult, Samples]:
    """The phase; one that a ruined policy cannot begin is left out where guards are going to look at that policy."""
    try:
        return _run_phase(run, phase)
    except NothingWritten as error:
        if run.config.guards is None or run.config.guards.on_regression == "ignore":
            raise
        run.display.say(f"  {phase.way} is left out: {error}")
        return PhaseResult(0, 0, 0.0, {}, None, None), []


def _run_phase(run: Run, phase: Phase) -> tuple[PhaseResult, Samples]:
    # Where each direction has a model of its own, a phase trains one direction; the other model is its judge.
    with run.policy.along(phase.directions[0]) as policy:
        if phase.kind is Kind.SFT:
            return _sft(run, phase, policy), []
        if phase.kind is Kind.SYNTHETIC:
            return _synthetic(run, phase, policy), []
        rewards = {direction: _reward(run, phase, direction, policy) for direction in phase.directions}
        algorithm = _ALGORITHMS[run.config.algorithm]
        result, samples = algorithm(run, phase, policy, rewards)
    for reverse in (reward.reverse for reward in rewards.values()):
        if reverse.requests:
            repeats = 1 - reverse.scored / reverse.requests
            run.display.say(f"  reverse model: {reverse.requests:,} scores, {repeats:.0%} of them remembered")
    return result, samples


def _reward(run: Run, phase: Phase, direction: Direction, policy: Policy) -> RoundTripReward:
    judge = run.policy.judge(direction)
    batch, longest = run.config.evaluation.max_batch_tokens, run.config.max_new_tokens
    reverse = ReverseModel(judge.snapshot, judge.codec, direction, batch, longest, phase.seed)
    return RoundTripReward(policy.codec, direction, reverse, run.config.rewards, run.config.ungated)


def _grpo(run: Run, phase: Phase, policy: Policy, rewards: Rewards) -> tuple[PhaseResult, Samples]:
    arguments = grpo_arguments(run.config, phase, phase.folder(run.folder.path))
    ways = dealt_out(sources_per_phase(arguments), phase.directions)
    found = _sources_of_all(run, phase, ways, rewards)
    rows = {way: iter(zip(one.items, one.targets, strict=True)) for way, one in found.items()}
    sources, targets = zip(*(next(rows[way]) for way in ways), strict=True)
    weight = run.config.sft_weight
    reward = JointReward(rewards) if len(rewards) > 1 else rewards[phase.direction]
    return run_grpo(
        policy,
        reward,
        arguments,
        list(sources),
        [_log(run, phase, rewards)],
        run.keeping(phase),
        targets,
        ways,
        start=run.policy.start(phase.directions[0], run.config.needs_start),
        sft_examples=_labelled(run, phase, len(sources)) if weight else (),
        sft_weight=weight,
    )


def _sources_of_all(run: Run, phase: Phase, ways: list[Direction], rewards: Rewards) -> dict[Direction, Sources]:
    """The sources of each direction; those that the policy writes are written once, however often a phase is begun."""

    def make() -> dict[str, Any]:
        found = {way: _sources(run, phase.along(way), ways.count(way), rewards[way]) for way in phase.directions}
        return {way: {"sources": asdict(one), "reverse": rewards[way].reverse.news()} for way, one in found.items()}

    made = run.unfinished(phase).once(make)
    for way, reward in rewards.items():
        reward.reverse.put_back(made[way]["reverse"])
    return {way: Sources(**made[way]["sources"]) for way in phase.directions}


def _sft(run: Run, phase: Phase, policy: Policy) -> PhaseResult:
    """SFT on the labelled pairs: the phase of a warm-up, or of algorithm: sft."""
    config = run.config if phase.round is not None else _sft_config(run.config, run.config.supervised.trainer)
    arguments = sft_arguments(config, phase, phase.folder(run.folder.path), phase.steps)
    examples = _labelled(run, phase, phase.steps * samples_per_step(arguments))
    return run_sft(policy, examples, arguments, [_log(run, phase)], run.keeping(phase))


def _labelled(run: Run, phase: Phase, count: int) -> list[Example]:
    """The labelled pairs, along each direction of a phase, for `count` of them to be learned."""
    return [
        Example(way, source, answer)
        for way in phase.directions
        for source, answer in pairs_for(run.config, run.items, phase.along(way), count)
    ]


def _synthetic(run: Run, phase: Phase, policy: Policy) -> PhaseResult:
    """Make as many pairs as the phase's steps can learn from, learn those that pass the filters in one pass."""
    config, own = run.config, run.config.synthetic
    arguments = sft_arguments(_sft_config(config, own.trainer), phase, phase.folder(run.folder.path))
    count = phase.steps * samples_per_step(arguments)
    made = run.unfinished(phase).once(lambda: _make_pairs(run, phase, count))
    examples = [Example(phase.direction, source, answer) for source, answer in made["pairs"]][:count]
    result = run_sft(policy, examples, arguments, [_log(run, phase)], run.keeping(phase))
    return _with_making(result, made["samples"], made["parts"])


def _make_pairs(run: Run, phase: Phase, count: int) -> dict[str, Any]:
    """About `count` pairs by the policy and by rule, those to be learned for JSON; all of them are written down."""
    config, own = run.config, run.config.synthetic
    by_rule = round(count * own.pairs_weight / (1 + own.pairs_weight)) if config.has_answers(phase.direction) else count
    made, stopwatch = [], Stopwatch()
    if wanted := -(-(count - by_rule) // max(1, own.samples)):
        answers = answers_for(run.config, run.items, phase, wanted)
        made = make_pairs(run.policy, config, phase.direction, answers, phase.seed, stopwatch)
        run.display.say(f"round {phase.round_name} {phase.direction}: {describe(made)}")
    if by_rule:
        pairs = next_pairs(config, run.items, phase, by_rule)
        made += [Made(phase.direction, source, answer, "data.pairs") for source, answer in pairs]
        run.display.say(f"round {phase.round_name} {phase.direction}: {by_rule:,} pairs of the data")
    if processes().is_main_process:
        write_made(phase.folder(run.folder.path) / "synthetic.parquet", made)
    kept = [[one.source, one.answer] for one in made if one.reason == KEPT]
    return {"pairs": kept, "samples": len(made), "parts": stopwatch.seconds}


def _with_making(result: PhaseResult, samples: int, parts: dict[str, float]) -> PhaseResult:
    """The result of learning what was made first, with what the making took."""
    return replace(result, samples=samples, seconds=result.seconds + sum(parts.values()), parts=dict(parts))


def _expert_iteration(run: Run, phase: Phase, policy: Policy, rewards: Rewards) -> tuple[PhaseResult, Samples]:
    """Sample for as many sources as the phase's steps can learn from, keep the best of each, learn them in one pass."""
    arguments = sft_arguments(_sft_config(run.config, {}), phase, phase.folder(run.folder.path))
    ways = dealt_out(phase.steps * samples_per_step(arguments), phase.directions)
    made = run.unfinished(phase).once(lambda: _sample_best(run, phase, policy, rewards, ways))
    examples = [Example(Direction(way), source, answer) for way, source, answer in made["examples"]]
    result = run_sft(policy, examples, arguments, [_log(run, phase)], run.keeping(phase))
    result = _with_making(result, len(made["samples"]), made["parts"])
    # Every process has all of them: that of one is theirs, in the order of one process.
    mine = made["samples"] if processes().is_main_process else []
    return result, [(0, Judged.from_json(one)) for one in mine]


def _sample_best(run: Run, phase: Phase, policy: Policy, rewards: Rewards, ways: list[Direction]) -> dict[str, Any]:
    """The best samples of each direction as examples, and all samples, for JSON."""
    examples: list[list[str]] = []
    judged: list[Judged] = []
    parts: dict[str, float] = {}
    for way, reward in rewards.items():
        best, samples = _best(run, phase.along(way), policy, reward, ways.count(way))
        examples += [[way, one.source, one.output] for one in best]
        judged += samples
        for part, seconds in reward.stopwatch.seconds.items():
            parts[part] = parts.get(part, 0.0) + seconds
    return {"examples": examples, "samples": [one.to_json() for one in judged], "parts": parts}


_ALGORITHMS = {"grpo": _grpo, "rloo": _grpo, "ppo": _grpo, "expert_iteration": _expert_iteration}


def _best(
    run: Run, phase: Phase, policy: Policy, reward: RoundTripReward, count: int
) -> tuple[list[Judged], list[Judged]]:
    """(the best sample of each of `count` sources, all samples), in one direction."""
    sampling = {key: value for key, value in run.config.trainer.items() if key in SAMPLING}
    n = sampling.get("num_generations", 8)
    found = _sources(run, phase, count, reward)
    targets = dict(zip(found.items, found.targets, strict=True))
    best, judged = best_of(
        policy,
        reward,
        list(targets),
        phase.seed,
        list(targets.values()),
        max_new_tokens=run.config.max_new_tokens,
        max_batch_tokens=run.config.evaluation.max_batch_tokens,
        num_samples=n,
        temperature=sampling.get("temperature", 1.0),
    )
    run.display.say(f"  kept the best of {n} for {len(best):,} of {len(targets):,} sources")
    return best, judged


def _sft_config(config: Config, own: dict[str, Any]) -> Config:
    """A config whose `trainer` holds what SFTConfig takes of the run's, under the fields of a section of its own."""
    fields = set(trainer_fields("sft"))
    if config.algorithm not in ("sft", "expert_iteration"):
        fields -= {"loss_type"}  # the only field of both trainers that means another thing in each
    shared = {key: value for key, value in config.trainer.items() if key in fields}
    return config.model_copy(update={"trainer": shared | own})


def _sources(run: Run, phase: Phase, count: int, reward: RoundTripReward) -> Sources:
    with run.display.working("choosing sources"):
        found = sources_for(run.policy, run.config, run.items, phase, count, reward.reverse)
    run.display.say(f"round {phase.round_name} {phase.direction}: {count:,} sources, {found.origin}")
    return found


def _log(run: Run, phase: Phase, rewards: Mapping[Direction, RoundTripReward] | None = None) -> StepLog:
    main, every = processes().is_main_process, run.config.logging.draw_every
    judges = list((rewards or {}).values())
    return StepLog(phase, run.folder, run.display, write=main, rewards=judges, draw_every=every)


def _finish(run: Run, phase: Phase, result: PhaseResult, samples: Samples) -> None:
    """Write the phase's samples and checkpoint, then say in state.json that it is done: in this order."""
    everyone = sorted(gather_object(samples), key=lambda row: row[0])
    folder = phase.folder(run.folder.path)
    run.state.checkpoint = checkpoint_after(phase)
    run.state.phases_done = phase.index + 1
    named: dict[str, Any] = {
        "round": phase.round,
        "direction": phase.way,
        "kind": str(phase.kind),
        "samples_kept": len(everyone),
        "degenerate": _degenerate(run, phase, [one for _, one in everyone]),
    }
    run.state.phases.append(named | asdict(result))
    if processes().is_main_process:
        if everyone:
            write_completions(folder / "completions.parquet", everyone)
        save_checkpoint(run.policy, run.folder.path / run.state.checkpoint)
        run.folder.save_state(run.state)
        run.unfinished(phase).remove()
        tidy(run)
    processes().wait_for_everyone()
    change = ""
    if result.reward_first is not None and result.reward_last is not None:
        if phase.kind is Kind.RL and run.config.algorithm != "expert_iteration":
            change = f", reward {result.reward_first:.3f} -> {result.reward_last:.3f}"
        else:
            change = f", loss {-result.reward_first:.3f} -> {-result.reward_last:.3f}"
    run.display.say(f"  {result.steps} steps in {result.seconds:.0f} s{change}")
    run.display.emit("phase", step=phase.first_step + phase.steps, **run.state.phases[-1])


def _degenerate(run: Run, phase: Phase, samples: list[Judged]) -> dict[str, dict[str, float]]:
    """How degenerate the phase's outputs are, by direction."""
    found = {}
    for way in phase.directions:
        structures = run.policy.codec.task.output(way).is_structure
        if own := [one for one in samples if one.direction is way]:
            found[str(way)] = asdict(measure_degenerate(own, structures))
    return found

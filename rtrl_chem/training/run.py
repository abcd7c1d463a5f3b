"""`rtrl-chem train`: data, model, measurement before, rounds, measurement after, the table."""

from __future__ import annotations

from pathlib import Path

from transformers import set_seed

from rtrl_chem.config import Config
from rtrl_chem.data import Corpus, Pairs, Reject, write_rejects
from rtrl_chem.evaluation import round_trip
from rtrl_chem.evaluation.held_out import HeldOut, TrainingItems, build_held_out, read_training_items
from rtrl_chem.evaluation.run import progress_bar
from rtrl_chem.evaluation.suites.guard import load_guard, measure_guard
from rtrl_chem.evaluation.summary import GUARD, summarise, table
from rtrl_chem.models.policy import load_policy, save_policy
from rtrl_chem.models.processes import calm_libraries, processes
from rtrl_chem.tasks import Task, load_task
from rtrl_chem.training.model_card import model_card
from rtrl_chem.training.phase import Phase, derive_seed, plan
from rtrl_chem.training.progress import Display
from rtrl_chem.training.rounds import Run, train_rounds
from rtrl_chem.training.run_folder import RunFolder, State

__all__ = ["train"]


def train(config: Config, *, resume: bool = False, overwrite: bool = False, quiet: bool = False) -> None:
    """Train as the config says, into `config.output_dir`. Raises the errors of `rtrl_chem.errors`, nothing else that a
    user could have caused."""
    calm_libraries()
    main = processes().is_main_process
    folder = RunFolder(Path(config.output_dir))
    if main:
        folder.check(config, resume=resume, overwrite=overwrite)
    phases = plan(config)
    display = Display(sum(phase.steps for phase in phases), config.rounds, visible=main and not quiet)
    # Data and model are read before the folder is touched: a mistake there must not cost an earlier run's results.
    task = load_task(config.task)
    held_out, items, rejects = _read_data(config, task, display)
    earlier = folder.state() if resume else State()
    checkpoint = folder.path / earlier.checkpoint if earlier.checkpoint else None
    set_seed(derive_seed(config.seed, "model"))  # a fresh adapter draws its weights
    if config.evaluation.guard:
        load_guard(config.evaluation.guard)  # before hours of training, not after them
    policy = load_policy(config.model, task, checkpoint, config.models, config.reverse_model)
    processes().wait_for_everyone()
    if main:
        folder.open(config, earlier, sum(phase.steps for phase in phases[: earlier.phases_done]))
        write_rejects(rejects, folder.path / "rejects.jsonl")
    processes().wait_for_everyone()
    _measure_and_train(Run(config, policy, items, folder, earlier, display), held_out, task)


def _read_data(config: Config, task: Task, display: Display) -> tuple[HeldOut, TrainingItems, list[Reject]]:
    """Held-out and training items, a line for the log about each file, and the rows that were set aside."""
    rejects: list[Reject] = []

    def on_read(found: Corpus | Pairs) -> None:
        display.say(found.summary())
        rejects.extend(found.rejects)

    with display.working("reading data"):
        held_out, items = build_held_out(config, task, read_training_items(config, task, on_read))
    _say_data(display, items, held_out)
    return held_out, items, rejects


def _measure_and_train(run: Run, held_out: HeldOut, task: Task) -> None:
    config, folder, display = run.config, run.folder, run.display
    evaluations = folder.path / "evaluation"
    if config.evaluation.before and run.state.phases_done == 0:
        display.say("measuring before training, which begins after that (evaluation.before: false leaves it out)")
        _measure(run, held_out, evaluations / "before", "before training")

    def after_stage(phase: Phase) -> None:
        if config.evaluation.every_round and phase.round is not None:
            _measure(run, held_out, evaluations / phase.stage, f"after round {phase.round_name}")

    train_rounds(run, after_stage)
    _measure(run, held_out, evaluations / "after", "after training")
    if not processes().is_main_process:
        return
    save_policy(run.policy, folder.path / "model")
    run.state.finished = True
    folder.save_state(run.state)
    summary = None
    if config.evaluation.before:
        summary = summarise(
            task,
            evaluations / "before",
            evaluations / "after",
            evaluations / "summary.json",
            confidence=config.evaluation.confidence,
            resamples=config.evaluation.resamples,
            seed=config.seed,
        )
        display.console.print(table(summary))
    (folder.path / "model" / "README.md").write_text(model_card(config, summary), encoding="utf8")
    display.say(_time_shares(run.state))
    display.say(f"run folder {folder.path}: model/ is the trained model, evaluation/summary.json the table")


def _measure(run: Run, held_out: HeldOut, out: Path, when: str) -> None:
    """Measure the policy. Every process generates, only the main one writes."""
    with progress_bar(run.display.console) as on_progress:
        round_trip.evaluate(run.policy, run.config, held_out, out, on_progress)
        if guard := run.config.evaluation.guard:
            for direction, own in run.policy.folders(out / GUARD).items():
                with run.policy.along(direction) as one:
                    measure_guard(load_guard(guard), one.model, one.codec, own, on_progress=on_progress)
    run.display.say(f"measured {when}")


def _say_data(display: Display, items: TrainingItems, held_out: HeldOut) -> None:
    display.say(f"held out for measuring: {held_out.origin}")
    if items.excluded:
        display.say(f"left out of training because they are held out: {items.excluded:,}")


def _time_shares(state: State) -> str:
    """Where the time of the training steps went, over all phases."""
    total = sum(phase["seconds"] for phase in state.phases)
    if not total:
        return "no training step was taken"
    parts: dict[str, float] = {}
    for phase in state.phases:
        for part, seconds in phase["parts"].items():
            parts[part] = parts.get(part, 0.0) + seconds
    parts["update and the rest"] = total - sum(parts.values())
    shares = ", ".join(f"{part} {seconds / total:.1%}" for part, seconds in parts.items())
    steps = sum(phase["steps"] for phase in state.phases)
    return f"time of a training step ({total / max(steps, 1):.2f} s on average): {shares}"

"""`rtrl-chem train`: data, model, measurement before, rounds, measurement after, the table."""

from __future__ import annotations

import gc
import json
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import NamedTuple, TextIO

import torch
from transformers import set_seed

from rtrl_chem.config import Config
from rtrl_chem.data import Corpus, Pairs, Reject, write_rejects
from rtrl_chem.errors import OutOfMemoryError
from rtrl_chem.evaluation import round_trip
from rtrl_chem.evaluation.held_out import (
    HeldOut,
    TrainingItems,
    build_held_out,
    build_validation,
    read_training_items,
)
from rtrl_chem.evaluation.journal import Journal, fingerprint
from rtrl_chem.evaluation.referee import opsin_referee
from rtrl_chem.evaluation.run import progress_bar
from rtrl_chem.evaluation.suites.guard import load_guard, measure_guard
from rtrl_chem.evaluation.summary import GUARD, Summary, summarise, table
from rtrl_chem.models.policy import load_policy
from rtrl_chem.models.processes import calm_libraries, processes
from rtrl_chem.reporting.hack_report import HackReport, write_hack_report
from rtrl_chem.tasks import Task, load_task
from rtrl_chem.training.disk import disk_errors
from rtrl_chem.training.export import export_model, push_model
from rtrl_chem.training.guards import Guard
from rtrl_chem.training.interrupts import Interrupts
from rtrl_chem.training.keep import load_best
from rtrl_chem.training.model_card import Facts, ReadFile, model_card
from rtrl_chem.training.out_of_memory import PIECES_OF_A_BATCH, adopt_batch, explained, halved, same_batch
from rtrl_chem.training.phase import Phase, derive_seed, plan
from rtrl_chem.training.progress import Display
from rtrl_chem.training.provenance import changes, environment, fingerprints, refuse
from rtrl_chem.training.rounds import Run, train_rounds
from rtrl_chem.training.run_folder import RunFolder, State
from rtrl_chem.training.trackers import note_measurement, watched

__all__ = ["train"]


def train(
    config: Config,
    *,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    events: TextIO | None = None,
    allow_changed: Collection[str] = (),
) -> None:
    """Train as the config says, into `config.output_dir`; `events` gets a JSON line for everything that happens, and
    `allow_changed` are keys in which a run may be resumed though they are not as they were (`training.provenance`).

    Raises the errors of `rtrl_chem.errors`, nothing else that a user could have caused: Interrupted when a signal has
    ended the run, after the step and its checkpoint.
    """
    calm_libraries()
    main = processes().is_main_process
    steps = sum(phase.steps for phase in plan(config))
    display = Display(steps, config.rounds, visible=main and not quiet, events=events if main else None)
    interrupts = Interrupts()
    with interrupts.noted():
        while True:
            try:
                with disk_errors(Path(config.output_dir), "the run"):
                    return _train(config, resume, overwrite, allow_changed, display, interrupts)
            except OutOfMemoryError as error:
                config, resume = _smaller(config, error, display), True


def _smaller(config: Config, error: OutOfMemoryError, display: Display) -> Config:
    """The config to go on with after a step that did not fit; the error itself where nothing is to be done about it."""
    automatic = config.trainer.get("auto_find_batch_size") and error.doing == "update"
    smaller = halved(config) if automatic and processes().num_processes == 1 else None
    if smaller is None:
        raise error
    size = smaller.trainer["per_device_train_batch_size"]
    display.warn(f"{error}. Going on with trainer.per_device_train_batch_size: {size}")
    # The policy that did not fit is still held by the frames of the error.
    error.__traceback__ = None
    gc.collect()
    torch.cuda.empty_cache()
    return smaller


def _train(
    config: Config,
    resume: bool,
    overwrite: bool,
    allow_changed: Collection[str],
    display: Display,
    interrupts: Interrupts,
) -> None:
    main = processes().is_main_process
    folder = RunFolder(Path(config.output_dir))
    if main:
        folder.check(resume=resume, overwrite=overwrite)
    # Data and model are read before the folder is touched: a mistake there must not cost an earlier run's results.
    task = load_task(config.task)
    earlier, goes_on = State(contents=fingerprints(config)), True
    if resume:
        config = adopt_batch(config, folder.config())
        earlier, goes_on = _earlier(config, folder, allow_changed)
    phases = plan(config)
    if earlier.finished and earlier.phases_done == len(phases):
        display.say(f"the run in {folder.path} is finished already")
        display.emit("done", run=str(folder.path), summary=None)
        return
    earlier.finished, earlier.planned = False, len(phases)
    data = _read_data(config, task, display)
    checkpoint = folder.path / earlier.checkpoint if earlier.checkpoint else None
    set_seed(derive_seed(config.seed, "model"))  # a fresh adapter draws its weights
    if config.evaluation.guard:
        load_guard(config.evaluation.guard)  # before hours of training, not after them
    with explained(lambda: "loading"):
        policy = load_policy(config.model, task, checkpoint, config.models, config.reverse_model)
    processes().wait_for_everyone()
    run = Run(config, policy, data.items, folder, earlier, display, interrupts)
    if main:
        _take_folder(run, phases, resume, goes_on)
        write_rejects(data.rejects, folder.path / "rejects.jsonl")
    processes().wait_for_everyone()
    with watched(config, folder, display):
        _measure_and_train(run, data, task)


def _earlier(config: Config, folder: RunFolder, allow_changed: Collection[str]) -> tuple[State, bool]:
    """How far the run in the folder has come, and whether a phase that was begun can go on; ResumeError where the run
    cannot, with this config, on these files, under these versions."""
    state = folder.state()
    contents = fingerprints(config)
    before = folder.config()
    found = changes((before, config), (state.contents, contents), (folder.environment(), environment()))
    if same_batch(config, before):
        found = [one for one in found if one.key not in PIECES_OF_A_BATCH]
    phases = plan(config)
    begun = state.phases_done > 0 or any(Run.unfinished_in(folder, phase).step for phase in phases[:1])
    goes_on = refuse(found, allow_changed, begun)
    if found:
        state.contents = contents
        state.resumed.append({"phases_done": state.phases_done, "changed": [str(one) for one in found]})
    return state, goes_on


def _take_folder(run: Run, phases: list[Phase], resume: bool, goes_on: bool) -> None:
    """Begin a run folder, or clear one of what a kill has left there, and of a phase that has to begin anew."""
    if not resume:
        run.folder.create(run.config, run.state)
        return
    done = run.state.phases_done
    steps = sum(phase.steps for phase in phases[:done])
    for phase in phases[:done]:
        run.unfinished(phase).remove()
    if done < len(phases):
        if goes_on:
            run.unfinished(phases[done]).clear_halves()
        else:
            run.unfinished(phases[done]).remove()
        steps += run.unfinished(phases[done]).step
    run.folder.go_on(run.config, run.state, steps)
    if steps:
        run.display.say(f"going on after step {steps:,} of {sum(phase.steps for phase in phases):,}")


class _Data(NamedTuple):
    """Items to train on, those of the final table, those on which the guards decide, the rows set aside, and the files
    that they are from."""

    items: TrainingItems
    held_out: HeldOut
    validation: HeldOut | None
    rejects: list[Reject]
    read: list[ReadFile]


def _read_data(config: Config, task: Task, display: Display) -> _Data:
    """Everything a run reads, with a line for the log about each file."""
    rejects: list[Reject] = []
    read: list[ReadFile] = []

    def on_read(found: Corpus | Pairs) -> None:
        display.say(found.summary())
        rejects.extend(found.rejects)
        read.append(ReadFile.of(found))

    with display.working("reading data"):
        held_out, items = build_held_out(config, task, read_training_items(config, task, on_read))
        validation = None
        if config.guards is not None:
            validation, items = build_validation(config, task, items, held_out)
    display.say(f"held out for measuring: {held_out.origin}")
    if validation is not None:
        display.say(f"held out for the guards: {validation.origin}")
    if items.excluded:
        display.say(f"left out of training because they are held out: {items.excluded:,}")
    return _Data(items, held_out, validation, rejects, read)


def _measure_and_train(run: Run, data: _Data, task: Task) -> None:
    config, folder, display = run.config, run.folder, run.display
    held_out = data.held_out
    evaluations = folder.path / "evaluation"
    if config.evaluation.before and run.state.phases_done == 0 and "before" not in run.state.measured:
        display.say("measuring before training, which begins after that (evaluation.before: false leaves it out)")
        _measure(run, held_out, evaluations / "before", "before training")
        _note_measured(run, "before")
    guard = None
    if data.validation is not None:
        guard = Guard(run, data.validation, partial(_measure, run))
        guard.start()

    def aftermath(phase: Phase, last: bool) -> None:
        if guard is not None:
            guard.after_phase(phase)
        if last and config.evaluation.every_round and phase.round is not None and not run.state.stopped:
            _measure(run, held_out, evaluations / phase.stage, f"after round {phase.round_name}")
        if last and guard is not None and not run.state.stopped:
            guard.after_stage(phase)

    train_rounds(run, aftermath)
    run.interrupts.check()
    load_best(run)
    if (after := f"after {run.state.phases_done} phases") not in run.state.measured:
        _measure(run, held_out, evaluations / "after", "after training")
        _note_measured(run, after)
    if processes().is_main_process:
        _finish(run, data, task)


def _finish(run: Run, data: _Data, task: Task) -> None:
    """Write the model, what became of it and what is to be known about it; for the main process."""
    config, folder, display = run.config, run.folder, run.display
    evaluations = folder.path / "evaluation"
    export_model(run.policy, config, folder.path / "model")
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
    hacks = _report_hacks(run, task)
    card = model_card(_facts(run, data, task, summary, hacks))
    (folder.path / "model" / "README.md").write_text(card, encoding="utf8")
    run.state.finished = True
    folder.save_state(run.state)
    display.say(_time_shares(run.state))
    for note in _notes(run.state):
        display.say(note)
    if config.trainer.get("push_to_hub"):
        push_model(folder.path / "model", config, display.say, display.warn)
    measured = "summary.json the table" if summary is not None else "after/ what was measured"
    display.say(f"run folder {folder.path}: model/ is the trained model, evaluation/{measured}")
    display.emit("done", run=str(folder.path), summary=None if summary is None else summary.to_json())


def _note_measured(run: Run, what: str) -> None:
    """A run that is killed later need not measure this again."""
    run.state.measured.append(what)
    if processes().is_main_process:
        run.folder.save_state(run.state)


def _facts(run: Run, data: _Data, task: Task, summary: Summary | None, hacks: HackReport | None) -> Facts:
    """What the model's card tells."""
    held_out = [f"held out for the results below: {data.held_out.origin}"]
    if data.validation is not None:
        held_out.append(f"held out for the guards: {data.validation.origin}")
    if data.items.excluded:
        held_out.append(f"left out of training because they are held out: {data.items.excluded:,}")
    examples = {way: data.held_out.along(way)[0].source for way in data.held_out.directions}
    return Facts(
        run.config,
        task,
        run.state,
        json.loads((run.folder.path / "environment.json").read_text(encoding="utf8")),
        data.read,
        held_out,
        {way: run.policy.codec_along(way).prompt(way, source) for way, source in examples.items()},
        summary,
        hacks,
        _notes(run.state),
    )


def _report_hacks(run: Run, task: Task) -> HackReport | None:
    done = plan(run.config)[: run.state.phases_done]
    names = list(dict.fromkeys(phase.folder(run.folder.path).name for phase in done))
    report = write_hack_report(run.folder.path, names, task, opsin_referee(run.config.evaluation.referee))
    if report is not None:
        n = len(report.suspects)
        run.display.say(f"hack_report.md: verdicts over time, and the {n} most rewarded outputs that look suspicious")
    return report


def _measure(run: Run, held_out: HeldOut, out: Path, when: str) -> dict[str, float]:
    """Measure the policy. Every process generates; the main one writes and gets the values by key: "forward/rtc"."""
    values: dict[str, float] = {}
    journal = Journal(out / f"answers-{processes().process_index}.jsonl", _journal_key(run))
    with explained(lambda: "measuring"), progress_bar(run.display.console) as show:

        def on_progress(what: str, done: int, total: int) -> None:
            show(what, done, total)
            run.interrupts.check_alone()

        found = round_trip.evaluate(run.policy, run.config, held_out, out, on_progress, journal=journal)
        for direction, metrics in found.items():
            values |= {f"{direction}/{name}": one.value for name, one in metrics.values.items()}
        if guard := run.config.evaluation.guard:
            for direction, own in run.policy.folders(out / GUARD).items():
                with run.policy.along(direction) as one:
                    parts = measure_guard(load_guard(guard), one.model, one.codec, own, on_progress=on_progress)
                for part, guarded in parts.items():
                    where = (own / part).relative_to(out).as_posix()
                    values |= {f"{where}/{name}": found.value for name, found in guarded.metrics.items()}
    journal.remove()
    run.interrupts.check()
    run.display.say(f"measured {when}")
    note_measurement(run, out, values)
    return values


def _journal_key(run: Run) -> str:
    """What the answers of a measurement depend on: the weights are those of the newest checkpoint."""
    settings = [run.config.evaluation_max_new_tokens, run.config.evaluation.max_batch_tokens]
    return fingerprint(str(run.state.checkpoint), *map(str, [*settings, processes().num_processes]))


def _notes(state: State) -> list[str]:
    """What the guards did, in sentences."""
    notes = []
    back = [one["stage"] for one in state.stages if not one["kept"]]
    if back:
        notes.append(f"Taken back by the guards: {', '.join(back)} of {len(state.stages) - 1} measured.")
    if state.stopped:
        notes.append(f"Stopped early: {state.stopped}.")
    return notes


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

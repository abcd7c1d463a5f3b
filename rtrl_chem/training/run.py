"""`rtrl-chem train`: data, model, measurement before, rounds, measurement after, the table."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple, TextIO

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
from rtrl_chem.models.policy import coarse_weights, load_policy
from rtrl_chem.models.processes import calm_libraries, processes
from rtrl_chem.reporting.hack_report import HackReport, write_hack_report
from rtrl_chem.tasks import Task, load_task
from rtrl_chem.training.disk import disk_errors
from rtrl_chem.training.export import export_model, push_model
from rtrl_chem.training.guards import Guard
from rtrl_chem.training.interrupts import Interrupts
from rtrl_chem.training.keep import load_best
from rtrl_chem.training.model_card import Facts, ReadFile, model_card
from rtrl_chem.training.out_of_memory import adopt_batch, explained, forget, halved
from rtrl_chem.training.phase import Phase, derive_seed, plan
from rtrl_chem.training.progress import Display
from rtrl_chem.training.provenance import fingerprints
from rtrl_chem.training.resume import Start, compare_items, resumed, take_folder
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
    interrupts, folder = Interrupts(), RunFolder(Path(config.output_dir).expanduser())
    with interrupts.noted(), folder.held() if main else nullcontext():
        while True:
            try:
                with disk_errors(folder.path, "the run"):
                    return _train(config, folder, resume, overwrite, allow_changed, display, interrupts)
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
    forget(error)
    return smaller


def _train(
    config: Config,
    folder: RunFolder,
    resume: bool,
    overwrite: bool,
    allow_changed: Collection[str],
    display: Display,
    interrupts: Interrupts,
) -> None:
    main = processes().is_main_process
    if main:
        folder.check(resume=resume, overwrite=overwrite)
    # Data and model are read before the folder is touched: a mistake there must not cost an earlier run's results.
    task = load_task(config.task)
    if resume:
        config = adopt_batch(config, folder.config())
        start = resumed(config, folder, allow_changed)
    else:
        start = Start(State(contents=fingerprints(config)))
    state = start.state
    if state.finished and (state.stopped or state.phases_done == len(plan(config))):
        early = f", it was stopped early: {state.stopped}" if state.stopped else ""
        display.say(f"the run in {folder.path} is finished already{early}")
        display.emit("done", run=str(folder.path), summary=None)
        return
    state.finished, state.planned = False, len(plan(config))
    data = _read_data(config, task, display)
    start = compare_items(start, data.fingerprints())
    checkpoint = folder.path / state.checkpoint if state.checkpoint else None
    set_seed(derive_seed(config.seed, "model"))  # a fresh adapter draws its weights
    if config.evaluation.guard:
        load_guard(config.evaluation.guard)  # before hours of training, not after them
    with explained(lambda: "loading"):
        policy = load_policy(config.model, task, checkpoint, config.models, config.reverse_model)
    if coarse := coarse_weights(policy):
        display.warn(
            f"weights in {coarse} hardly move at small learning rates: set model.dtype: float32, or model.lora"
        )
    processes().wait_for_everyone()
    run = Run(config, policy, data.items, folder, state, display, interrupts)
    if main and resume:
        take_folder(run, start.goes_on)
    elif main:
        folder.create(config, state)
    if main:
        write_rejects(data.rejects, folder.path / "rejects.jsonl")
    processes().wait_for_everyone()
    with watched(config, folder, display):
        _measure_and_train(run, data, task)


class _Data(NamedTuple):
    """Items to train on, those of the final table, those on which the guards decide, the rows set aside, and the files
    that they are from."""

    items: TrainingItems
    held_out: HeldOut
    validation: HeldOut | None
    rejects: list[Reject]
    read: list[ReadFile]

    def fingerprints(self) -> dict[str, str]:
        """What tells held-out items from others, by name."""
        named = {"held_out": self.held_out, "validation": self.validation}
        return {name: _fingerprint(found) for name, found in named.items() if found is not None}


def _fingerprint(items: HeldOut) -> str:
    rows = ([way, one.source, one.target] for way in items.directions for one in items.along(way))
    return fingerprint(*map(json.dumps, rows))


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
        _measure_once(run, held_out, evaluations / "before", "before", "before training")
    guard = None
    if data.validation is not None:
        guard = Guard(run, data.validation, partial(_measure, run))
        guard.start()

    def aftermath(phase: Phase, last: bool) -> None:
        if guard is not None:
            guard.after_phase(phase)
        if last and config.evaluation.every_round and phase.round is not None and not run.state.stopped:
            out = evaluations / phase.stage
            _measure_once(run, held_out, out, phase.stage, f"after round {phase.round_name}")
        if last and guard is not None and not run.state.stopped:
            guard.after_stage(phase)

    train_rounds(run, aftermath)
    run.interrupts.check()
    load_best(run)
    _measure_once(run, held_out, evaluations / "after", f"after {run.state.phases_done} phases", "after training")
    if processes().is_main_process:
        _finish(run, data, task)


def _finish(run: Run, data: _Data, task: Task) -> None:
    """Write the model, what became of it and what is to be known about it; for the main process."""
    config, folder, display = run.config, run.folder, run.display
    evaluations = folder.path / "evaluation"
    export_model(run.policy, config, folder.path / "model")
    summary = None
    if "before" in run.state.measured:  # as it was, whatever the config says by now
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


def _measure_once(run: Run, held_out: HeldOut, out: Path, what: str, when: str) -> None:
    """Measure, and note it under the name `what`: a run that is killed later must not measure another policy there."""
    if what in run.state.measured:
        return
    _measure(run, held_out, out, when)
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
    run.interrupts.check()  # before the answers are forgotten
    journal.remove()
    run.display.say(f"measured {when}")
    note_measurement(run, out, values)
    return values


def _journal_key(run: Run) -> str:
    """What the answers of a measurement depend on: the weights are those of the newest checkpoint or of the best stage,
    and whatever else the config says may have a part in it."""
    weights = json.dumps([run.state.checkpoint, run.state.best])
    config = run.config.model_dump_json(exclude={"output_dir"})
    return fingerprint(weights, config, str(processes().num_processes))


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

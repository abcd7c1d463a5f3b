"""`rtrl-chem evaluate CONFIG --model PATH`: measure any model on a config's held-out items."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from rtrl_chem.config import ModelConfig
from rtrl_chem.data.bundled import is_bundled
from rtrl_chem.errors import ConfigError
from rtrl_chem.evaluation import round_trip
from rtrl_chem.evaluation.files import read_json
from rtrl_chem.evaluation.held_out import HeldOut, build_held_out, held_out_items
from rtrl_chem.evaluation.journal import Journal, fingerprint
from rtrl_chem.evaluation.measure import Metrics
from rtrl_chem.evaluation.tables import metrics_table
from rtrl_chem.models.origin import sides_of, style_of_run
from rtrl_chem.preflight import model_problem
from rtrl_chem.tasks import Direction, Task, load_task
from rtrl_chem.terminal import Console

if TYPE_CHECKING:
    from rtrl_chem.config import Config
    from rtrl_chem.models.policy import Policy

__all__ = ["evaluate", "load_for_evaluation", "model_for_evaluation", "progress_bar", "versions", "weights"]


def evaluate(
    config: Config, model: str | None = None, out: Path | None = None, console: Console | None = None
) -> dict[Direction, Metrics]:
    """Evaluate `model` (folder, Hub id or bundled; default: the config's), write its files, print a table to stderr.

    Files go to `out/{forward,reverse}/`; `out` defaults to `evaluations/MODEL`. Raises what reading data and loading
    the model raise: ConfigError, CorpusError, ModelError.
    """
    if model is not None and model != config.model.path and (problem := model_problem(model)):
        raise ConfigError(problem)
    from rtrl_chem.models.processes import calm_libraries

    calm_libraries()
    task = load_task(config.task)
    held_out = _held_out(config, task)
    policy = load_for_evaluation(config, model, task)
    # Loading the model has told the processes apart: one of them speaks.
    console = console or Console(stderr=True, quiet=not round_trip.is_main_process())
    console.print(f"held-out items: {held_out.origin}", markup=False, soft_wrap=True)
    out = out or Path("evaluations") / _slug(model or config.model.path)
    journal = _journal(policy, config, model or config.model.path, out)
    with progress_bar(console) as on_progress:
        found = round_trip.evaluate(policy, config, held_out, out, on_progress, journal=journal)
    journal.remove()
    if found:
        console.print(metrics_table(found, task))
        console.print(f"written to {out}", markup=False, soft_wrap=True)
    return found


def load_for_evaluation(config: Config, model: str | None, task: Task) -> Policy:
    """The policy of the config with `model` in its place: an adapter over the config's own model, or a whole model.

    A whole model in a folder is taken to have been trained from the config's one, so it is asked in the same style:
    a copy of a bundled model does not show by its path that its style is `compact`.
    """
    from rtrl_chem.models.policy import load_policy

    own = config.model
    if model is None or model == own.path:
        return load_policy(own, task, None, config.models, config.reverse_model)
    if (Path(model) / "adapter_config.json").is_file():
        return load_policy(own.model_copy(update={"lora": own.lora or {}}), task, Path(model))
    whole = {"path": model, "revision": None, "gguf_file": None, "lora": None}
    if own.prompt_style is None and is_bundled(own.path) and Path(model).is_dir():
        whole["prompt_style"] = "compact"
    reverse = config.reverse_model
    if reverse is not None and (sides := sides_of(model)):
        path = {"path": str(sides[Direction.REVERSE]), "revision": None, "gguf_file": None, "lora": None}
        reverse = reverse.model_copy(update=path)
        return load_policy(own.model_copy(update=whole), task, None, None, reverse)
    return load_policy(own.model_copy(update=whole), task)


def model_for_evaluation(own: ModelConfig, task: Task) -> Policy:
    """The model of a suite: whole, or an adapter over the base that its own file names.

    A model in the folder of a run of ours is asked as that run asked it, unless `own` says otherwise.
    """
    from rtrl_chem.models.policy import load_policy

    folder = Path(own.path)
    if own.prompt_style is None and sides_of(own.path) is None:  # each of two sides has its own
        own = own.model_copy(update={"prompt_style": style_of_run(folder)})
    adapter = folder / "adapter_config.json"
    if adapter.is_file() and not (folder / "config.json").is_file():
        base = {"path": read_json(adapter)["base_model_name_or_path"], "lora": own.lora or {}}
        return load_policy(own.model_copy(update=base), task, folder)
    return load_policy(own, task)


def _journal(policy: Policy, config: Config, model: str, out: Path) -> Journal:
    """What this process has generated of this very evaluation before it was interrupted."""
    from rtrl_chem.models.processes import processes

    world = processes()
    settings = [config.evaluation_max_new_tokens, config.evaluation.max_batch_tokens, world.num_processes]
    prompts = [policy.codec.prompt(direction, "x") for direction in Direction]
    key = fingerprint(*weights(model), *map(str, settings), *versions(policy), *prompts)
    return Journal(out / f"answers-{world.process_index}.jsonl", key)


def versions(policy: Policy) -> list[str]:
    """What besides weights and settings decides what a model writes."""
    import torch
    import transformers

    return [torch.__version__, transformers.__version__, str(policy.model.dtype), str(policy.model.device)]


def weights(model: str) -> list[str]:
    """What tells a model's weights apart without reading them: its name, or its files with sizes and times."""
    folder = Path(model)
    if not folder.is_dir():
        return [model]
    files = [(path.relative_to(folder), path.stat()) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in files]


@contextmanager
def progress_bar(console: Console) -> Iterator[round_trip.Progress]:
    """A bar for each stage of an evaluation, gone when it ends."""
    if not console.is_terminal:  # a bar that cannot move would only leave an empty line
        yield lambda what, done, total: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        stage: TaskID | None = None

        def show(what: str, done: int, total: int) -> None:
            nonlocal stage
            if stage is None or done == 0:  # the same words may name two stages: forward, and the way back of reverse
                stage = bar.add_task(what, total=total)
            bar.update(stage, completed=done)

        yield show


def _held_out(config: Config, task: Task) -> HeldOut:
    """As in training, but the training data is read only where items must be set aside from it."""
    return held_out_items(config, task) or build_held_out(config, task)[0]


def _slug(model: str) -> str:
    return re.sub(r"[^\w.-]+", "-", model).strip("-.") or "model"

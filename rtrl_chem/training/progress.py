"""What a user sees while a run goes on: a live bar in a terminal, a line now and then elsewhere, nothing if quiet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from transformers import TrainerCallback

from rtrl_chem.terminal import Console
from rtrl_chem.training.phase import Kind, Phase
from rtrl_chem.training.run_folder import RunFolder

__all__ = ["Display", "StepLog"]


class Display:
    """Prints to stderr; silent in every process but the main one, and under --quiet."""

    def __init__(self, total_steps: int, rounds: int, *, visible: bool) -> None:
        self.console = Console(stderr=True, quiet=not visible)
        self.total = total_steps
        self.rounds = rounds
        self._trained_seconds, self._trained_steps = 0.0, 0
        self._bar: Progress | None = None

    def say(self, text: str) -> None:
        """One line of the log."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def working(self, text: str) -> AbstractContextManager[Any]:
        """Show, in a terminal, that the work inside goes on."""
        free = self.console.is_terminal and self._bar is None  # rich draws one display at a time
        return self.console.status(text) if free else nullcontext()

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Show the phase that is running inside."""
        title = phase.stage if phase.round is None else f"round {phase.round_name}/{self.rounds}"
        title += f" {phase.way}" + (" from made pairs" if phase.kind is Kind.SYNTHETIC else "")
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            TimeElapsedColumn(),
        )
        self._started, self._phase, self._title = time.perf_counter(), phase, title
        if self.console.is_terminal:
            with Progress(*columns, console=self.console, transient=True) as self._bar:
                self._row = self._bar.add_task(title, total=phase.steps, status="")
                yield
            self._bar = None
        else:
            yield
        self._trained_seconds += time.perf_counter() - self._started
        self._trained_steps += phase.steps

    def step(self, step: int, reward: float | None) -> None:
        """One optimizer step of the phase is done."""
        shown = "" if reward is None else f"reward {reward:.3f}  "
        status = f"step {step}/{self._phase.steps}  {shown}ETA of training {self._eta(step)}"
        if self._bar is not None:
            self._bar.update(self._row, completed=step, status=status)
        elif step % max(1, self._phase.steps // 4) == 0:
            self.say(f"{self._title}: {status}")

    def _eta(self, step: int) -> str:
        done = self._trained_steps + step
        seconds = self._trained_seconds + time.perf_counter() - self._started
        left = max(0, self.total - self._phase.first_step - step)
        minutes, rest = divmod(round(seconds / max(done, 1) * left), 60)
        return f"{minutes}:{rest:02d}"


class StepLog(TrainerCallback):
    """Writes every logged step to metrics.jsonl on the run's own step axis, and moves the display."""

    def __init__(self, phase: Phase, folder: RunFolder, display: Display, *, write: bool) -> None:
        self.phase = phase
        self.folder = folder
        self.display = display
        self.write = write

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Called by the trainer with everything it logs."""
        if not logs or "train_runtime" in logs or not self.write:
            return
        where = {"step": self.phase.first_step + state.global_step, "round": self.phase.round}
        which = {"direction": self.phase.way, "phase": str(self.phase.kind)}
        numbers = {key: value for key, value in logs.items() if isinstance(value, (int, float))}
        self.folder.append_metrics(where | which | numbers)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer after every optimizer step; the reward shown is the last one logged."""
        history = [entry for entry in state.log_history[-3:] if "reward" in entry]
        self.display.step(state.global_step, history[-1]["reward"] if history else None)

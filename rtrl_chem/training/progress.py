"""What a user sees while a run goes on: two live lines in a terminal, a line now and then elsewhere, nothing if quiet.
Programs get the same as JSON lines on stdout."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO

from rich.live import Live
from transformers import TrainerCallback

from rtrl_chem.durable import finite
from rtrl_chem.rewards.compose import RoundTripReward
from rtrl_chem.terminal import Console
from rtrl_chem.training.meter import Meter
from rtrl_chem.training.panel import Panel
from rtrl_chem.training.phase import Kind, Phase
from rtrl_chem.training.pictures import Pictures
from rtrl_chem.training.run_folder import RunFolder

__all__ = ["Display", "StepLog"]


class Display:
    """Prints to stderr; silent in every process but the main one, and under --quiet. `events` gets a JSON line for
    everything that happens. It is one of those who watch the run's folder."""

    def __init__(
        self,
        total_steps: int,
        rounds: int,
        *,
        visible: bool,
        events: TextIO | None = None,
        console: Console | None = None,
    ) -> None:
        self.console = console or Console(stderr=True, quiet=not visible)
        self.total = total_steps
        self.rounds = rounds
        self._events = events
        self._trained_seconds, self._trained_steps = 0.0, 0  # in this process: what ETA goes by
        self._live: Live | None = None
        self._begun: int | None = None  # where in the running phase this process began
        self._panel = Panel("", 0, 0, total_steps)

    def say(self, text: str) -> None:
        """One line of the log."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """One line about what goes wrong and does not end the run."""
        self.say(f"warning: {text}")
        self.emit("warning", text=text)

    def emit(self, event: str, **fields: Any) -> None:
        """One JSON line for a program that follows the run; a number that is none becomes null."""
        if self._events is None:
            return
        try:
            print(json.dumps(finite({"event": event} | fields)), file=self._events, flush=True)
        except OSError:  # whoever was reading has gone
            self._events = None

    def working(self, text: str) -> AbstractContextManager[Any]:
        """Show, in a terminal, that the work inside goes on."""
        free = self._can_draw and self._live is None  # rich draws one display at a time
        return self.console.status(text) if free else nullcontext()

    @property
    def _can_draw(self) -> bool:
        """Whether lines can be drawn anew: not in a file, nor in a terminal that knows no commands (TERM=dumb)."""
        return self.console.is_terminal and not self.console.is_dumb_terminal

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Show the phase that is running inside."""
        title = phase.stage if phase.round is None else f"round {phase.round_name}/{self.rounds}"
        title += f" {phase.way}" + (" from made pairs" if phase.kind is Kind.SYNTHETIC else "")
        trips = self._panel.trips
        self._started, self._phase, self._begun = time.perf_counter(), phase, None
        self._panel = Panel(title, phase.steps, phase.first_step, self.total, trips=trips)
        if self._can_draw:
            try:
                with Live(self._panel, console=self.console, transient=True) as self._live:
                    yield
            finally:
                self._live = None
        else:
            yield
        self._trained_seconds += time.perf_counter() - self._started
        self._trained_steps += phase.steps - (self._begun or 0)

    def step(self, step: int) -> None:
        """One optimizer step of the phase is done; the first that a process tells of need not be the phase's."""
        panel = self._panel
        if self._begun is None:
            self._begun = step - 1
        panel.step, panel.eta = step, self._eta(step)
        if self._live is None and step % max(1, panel.steps // 4) == 0:
            reward = f"reward {panel.rewards[-1]:.3f}  " if panel.rewards else ""
            self.say(f"{panel.title}: step {step}/{panel.steps}  {reward}ETA of training {panel.eta}")

    def row(self, row: dict[str, Any]) -> None:
        """A line of metrics.jsonl has been written."""
        if row.get("reward") is not None and math.isfinite(row["reward"]):
            self._panel.rewards.append(row["reward"])
        if "measured" in row:
            found = {way: row.get(f"{way}/rtc") for way in ("forward", "reverse")}
            self._panel.trips |= {way: value for way, value in found.items() if value is not None}
        kind = "measured" if "measured" in row else "guard" if "event" in row else "step"
        self.emit(kind, **{"what" if key == "event" else key: value for key, value in row.items()})

    def image(self, step: int, way: str, png: Path) -> None:
        """An image has been drawn."""
        self.emit("image", step=step, direction=way, path=str(png))

    def _eta(self, step: int) -> str:
        done = self._trained_steps + step - (self._begun or 0)
        seconds = self._trained_seconds + time.perf_counter() - self._started
        left = max(0, self.total - self._phase.first_step - step)
        minutes, rest = divmod(round(seconds / max(done, 1) * left), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class StepLog(TrainerCallback):
    """Writes every logged step to metrics.jsonl on the run's own step axis, and moves the display. `rewards` are those
    of the phase, none for SFT; the pairs they judged are drawn every `draw_every` steps."""

    def __init__(
        self,
        phase: Phase,
        folder: RunFolder,
        display: Display,
        *,
        write: bool,
        rewards: Collection[RoundTripReward] = (),
        draw_every: int = 0,
    ) -> None:
        self.phase = phase
        self.folder = folder
        self.display = display
        self.write = write
        self.pictures = Pictures(folder, rewards, draw_every if write else 0, display.warn)
        self._rewards = rewards
        self._meter: Meter | None = None

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer before every optimizer step. At the first one a phase that goes on knows again what it
        knew."""
        if self._meter is None:
            known = 0.0 if state.global_step == 0 else None
            self._meter, self._logged_at = Meter(self._rewards, known), state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Called by the trainer with everything it logs."""
        if not logs or "train_runtime" in logs or not self.write:
            return
        where = {"step": self.phase.first_step + state.global_step, "round": self.phase.round}
        which = {"direction": self.phase.way, "phase": str(self.phase.kind)}
        numbers = {key: value for key, value in logs.items() if isinstance(value, (int, float))}
        assert self._meter is not None
        measured = self._meter.read(state.global_step - self._logged_at, logs.get("num_tokens"))
        self._logged_at = state.global_step
        self.folder.append_metrics(where | which | numbers | measured)
        self.display.step(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer after every optimizer step, before it logs."""
        self.pictures.draw(self.phase.first_step + state.global_step, self.phase.way)
        if not control.should_log:  # else it is shown with what is logged of it
            self.display.step(state.global_step)

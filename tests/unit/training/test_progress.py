"""What a user sees of a run: two live lines, a line now and then, nothing, or JSON lines."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from rtrl_chem.tasks import Direction
from rtrl_chem.training.panel import Panel
from rtrl_chem.training.phase import Phase
from rtrl_chem.training.progress import Display, StepLog
from rtrl_chem.training.run_folder import RunFolder

PHASE = Phase(index=1, round=0, directions=(Direction.REVERSE,), turn=0, steps=8, first_step=8, seed=0)


def follow(display: Display) -> None:
    """A phase of eight steps with rising rewards, and a measurement before it."""
    display.row({"step": 8, "measured": "validation/round-00", "forward/rtc": 0.25, "guard/texts/accuracy": 0.5})
    with display.phase(PHASE):
        for step in range(1, 9):
            display.row({"step": 8 + step, "direction": "reverse", "reward": step / 10})
            display.step(step)


def screen(**options: Any) -> str:
    output = io.StringIO()
    display = Display(16, 2, visible=True, console=Console(file=output, width=100, color_system=None, **options))
    follow(display)
    return output.getvalue()


def test_a_terminal_shows_round_step_reward_trend_round_trip_and_eta() -> None:
    shown = screen(force_terminal=True)
    assert "round 1/2 reverse" in shown
    last = shown[shown.rindex("round 1/2 reverse") :]
    for words in ("step 8/8", "run 16/16", "ETA 0:00", "reward 0.800 ↗ ▁▂▃▄▅▆▇█", "round trip forward 25.0%"):
        assert words in last


@pytest.mark.parametrize("width", [20, 60, 200])
def test_it_fits_narrow_and_plain_terminals(width: int) -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    panel = Panel("round 1/2 forward", 8, 0, 16, 3, "1:00", [0.1, 0.2], {"forward": 0.5})
    Console(file=output, width=width, force_terminal=True, color_system=None).print(panel)
    output.seek(0)
    assert all(len(line) <= width for line in output.read().splitlines())


def test_elsewhere_there_is_a_line_at_each_quarter() -> None:
    lines = screen().splitlines()
    assert [line.split("  ETA")[0] for line in lines] == [
        f"round 1/2 reverse: step {step}/8  reward {step / 10:.3f}" for step in (2, 4, 6, 8)
    ]


def test_a_terminal_that_cannot_be_drawn_on_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert [line.split(":")[0] for line in screen(force_terminal=True).splitlines()] == ["round 1/2 reverse"] * 4


def test_the_eta_of_a_resumed_phase_goes_by_the_steps_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1_000_000, 1_000))  # seconds, at the start of the phase and after each step
    monkeypatch.setattr("rtrl_chem.training.progress.time.perf_counter", lambda: float(next(clock)))
    display = Display(16, 2, visible=False)
    with display.phase(PHASE):
        display.step(7)  # 15 of 16 steps of the run
        assert display._panel.eta == "16:40"
        display.step(8)
    with display.phase(PHASE):
        display.step(1)  # the third step of this process, in 4,000 s
        assert display._panel.eta == "2:35:33"


def test_a_step_is_shown_with_its_own_reward(tmp_path: Path) -> None:
    output = io.StringIO()
    display = Display(16, 2, visible=True, console=Console(file=output, width=100))
    folder = RunFolder(tmp_path)
    folder.watchers.append(display)
    log = StepLog(PHASE, folder, display, write=True)
    with display.phase(PHASE):
        for step in range(1, 9):
            state, control = SimpleNamespace(global_step=step), SimpleNamespace(should_log=step % 2 == 0)
            log.on_step_begin(None, SimpleNamespace(global_step=step - 1), control)
            log.on_step_end(None, state, control)
            if control.should_log:
                log.on_log(None, state, control, {"reward": step / 10})
    lines = [line.split("  ETA")[0] for line in output.getvalue().splitlines()]
    assert lines == [f"round 1/2 reverse: step {step}/8  reward {step / 10:.3f}" for step in (2, 4, 6, 8)]


def test_a_phase_that_fails_leaves_the_terminal_free() -> None:
    display = Display(16, 2, visible=True, console=Console(file=io.StringIO(), force_terminal=True))
    with pytest.raises(ValueError), display.phase(PHASE):
        raise ValueError
    assert display._live is None


def test_quiet_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(16, 2, visible=False)
    follow(display)
    display.warn("a tracker is down")
    assert capsys.readouterr() == ("", "")


def test_events_are_json_lines() -> None:
    events = io.StringIO()
    display = Display(16, 2, visible=False, events=events)
    display.row({"step": 1, "direction": "forward", "reward": float("nan"), "kl": 0.5})
    display.row({"step": 2, "measured": "before", "forward/rtc": 0.5})
    display.row({"step": 2, "event": "rolled back", "stage": "round-00", "reasons": ["rtc"]})
    display.image(2, "forward", Path("images/step-2.png"))
    display.warn("x")
    lines = [json.loads(line, parse_constant=pytest.fail) for line in events.getvalue().splitlines()]
    assert lines == [
        {"event": "step", "step": 1, "direction": "forward", "reward": None, "kl": 0.5},
        {"event": "measured", "step": 2, "measured": "before", "forward/rtc": 0.5},
        {"event": "guard", "step": 2, "what": "rolled back", "stage": "round-00", "reasons": ["rtc"]},
        {"event": "image", "step": 2, "direction": "forward", "path": "images/step-2.png"},
        {"event": "warning", "text": "x"},
    ]


def test_a_reader_that_goes_away_ends_no_run() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    display = Display(16, 2, visible=False, events=Gone())
    follow(display)
    assert display._events is None, "nobody reads them, so no more are written"

"""Where a run that is resumed goes on: what is left of it in its folder, and how much of that still fits the config."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from rtrl_chem.config import Config
from rtrl_chem.errors import ResumeError
from rtrl_chem.training.out_of_memory import PIECES_OF_A_BATCH, same_batch
from rtrl_chem.training.phase import Phase, plan
from rtrl_chem.training.provenance import OF_THE_START, changes, environment, fingerprints, listed, refuse
from rtrl_chem.training.rounds import Run
from rtrl_chem.training.run_folder import RunFolder, State
from rtrl_chem.training.unfinished import Unfinished

__all__ = ["Start", "compare_items", "resumed", "take_folder"]


@dataclass(frozen=True)
class Start:
    """Where a run begins: its state, whether a phase that was begun can go on from its newest checkpoint, and whether
    what was measured of the start model still holds."""

    state: State
    goes_on: bool = True
    measured: bool = True


def resumed(config: Config, folder: RunFolder, allow_changed: Collection[str]) -> Start:
    """How far the run in the folder has come; ResumeError where it cannot go on with this config, on these files, under
    these versions."""
    state, before, contents = folder.state(), folder.config(), fingerprints(config)
    found = changes((before, config), (state.contents, contents), (folder.environment(), environment()))
    if same_batch(config, before):
        found = [one for one in found if one.key not in PIECES_OF_A_BATCH]
    done = state.phases_done
    begun = done > 0 or any(Run.unfinished_in(folder, phase).step for phase in plan(config)[:1])
    goes_on = refuse(found, allow_changed, begun)
    if _done(before, done) != _done(config, done):
        raise ResumeError(
            f"--resume: with {listed(found)} the {done} phases that are done would have been others; restore it or "
            "start a new run"
        )
    if found:
        state.contents = contents
        state.resumed.append({"phases_done": done, "changed": [str(one) for one in found]})
    return Start(state, goes_on, not any(one.under(OF_THE_START) for one in found))


def _done(config: Config, count: int) -> list[Phase]:
    """The first phases of a config, but for their seeds."""
    return [replace(phase, seed=0) for phase in plan(config)[:count]]


def compare_items(start: Start, items: Mapping[str, str]) -> Start:
    """The start with what is held out now, as fingerprints by name: `held_out` for the final table, `validation` for
    the guards. What was measured on other items, or of another start model, is measured again; ResumeError where that
    model is gone."""
    state = start.state
    before, state.items = state.items, dict(items)
    used = {"held_out": state.measured, "validation": state.stages}
    if state.phases_done and any(used[name] and before.get(name, one) != one for name, one in items.items()):
        raise ResumeError(
            "--resume: data, evaluation or guards have changed so that other items are held out, on which the start "
            "model was not measured; restore them or start a new run"
        )
    others = bool(before) and before != state.items
    if not state.phases_done and (others or not start.measured):
        state.measure_anew()
    return replace(start, goes_on=start.goes_on and not others)


def take_folder(run: Run, goes_on: bool) -> None:
    """Clear the folder of a run that is resumed of what a kill has left there, and of a phase that has to begin anew.
    For the main process."""
    phases, done = plan(run.config), run.state.phases_done
    own = run.unfinished(phases[done]) if done < len(phases) and goes_on else None
    for path in run.folder.path.glob("rounds/*/unfinished-*"):
        if own is None or path != own.path:
            Unfinished(path).remove()
    steps = sum(phase.steps for phase in phases[:done])
    if own is not None:
        own.clear_parts()
        steps += own.step
    run.folder.go_on(run.config, run.state, steps)
    if steps:
        run.display.say(f"going on after step {steps:,} of {sum(phase.steps for phase in phases):,}")

"""Rewards of the user's own: from the entry points of installed packages, or from a Python file.

    def short(batch, limit=50):  # the reward `short`; its options are what the config gives beside weight and floor
        return [float(len(y) <= limit) for y in batch.outputs]

A class is made once per phase with the options, and called with each batch. Whatever goes wrong in one of them is a
`RewardError` that names the reward and the sample.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from rtrl_chem.errors import RewardError, did_you_mean
from rtrl_chem.rewards.options import UserReward, installed_rewards
from rtrl_chem.rewards.terms import Batch

__all__ = ["UserTerm", "user_term"]

# How much of a sample an error message shows.
SHOWN = 120


@dataclass(frozen=True)
class UserTerm:
    """A user's function behind checks: as many values as samples, each None or a number of at least `floor`."""

    name: str
    function: Callable[[Batch], Iterable[Any]]
    floor: float = 0.0
    needs_target: bool = False

    def __call__(self, batch: Batch) -> list[float | None]:
        """The function's values; RewardError if it raises or they cannot be used."""
        try:
            given = list(self.function(batch))
        except Exception as error:  # whatever a user's code may raise
            raise RewardError(f"reward {self.name!r} failed on {self._culprit(batch)}: {_said(error)}") from error
        if len(given) != len(batch):
            raise RewardError(f"reward {self.name!r} gave {len(given)} values for {len(batch)} samples")
        values = [self._checked(batch, i, value) for i, value in enumerate(given)]
        self._check_left_out(batch, values)
        return values

    def _culprit(self, batch: Batch) -> str:
        """The first sample that makes the function raise by itself, if there is one."""
        for i in range(len(batch)):
            try:
                list(self.function(batch.take([i])))
            except Exception:
                return _sample(batch, i)
        return f"{len(batch)} samples together, though on none alone; the first is {_sample(batch, 0)}"

    def _checked(self, batch: Batch, row: int, value: Any) -> float | None:
        if value is None:
            return None
        try:
            number = math.nan if isinstance(value, str) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            must = "must be a finite number, or None to leave the sample out"
            raise RewardError(f"reward {self.name!r} gave {value!r} for {_sample(batch, row)}; {must}")
        if number < self.floor:
            raise RewardError(
                f"reward {self.name!r} gave {number:g} for {_sample(batch, row)}, less than its floor {self.floor:g}, "
                f"which an empty or leaking output earns; set rewards.{self.name}.floor"
            )
        return number

    def _check_left_out(self, batch: Batch, values: list[float | None]) -> None:
        left_out = {source: value is None for source, value in zip(batch.sources, values, strict=True)}
        for i, value in enumerate(values):
            if (value is None) != left_out[batch.sources[i]]:
                raise RewardError(
                    f"reward {self.name!r} leaves out some outputs of one source and not others, see "
                    f"{_sample(batch, i)}; None is for what x lacks, a bad y earns the floor"
                )


def user_term(name: str, options: UserReward) -> UserTerm:
    """The reward `name`; RewardError if it cannot be loaded or does not take its options."""
    found = _from_file(name, options.file) if options.file is not None else _from_entry_point(name)
    if not callable(found):
        raise RewardError(f"rewards.{name}: {found!r} is neither a function nor a class")
    _check_options(name, found, options.options)
    try:
        function: Any = found(**options.options) if inspect.isclass(found) else partial(found, **options.options)
    except Exception as error:
        raise RewardError(f"rewards.{name}: the class cannot be made from its options ({_said(error)})") from error
    return UserTerm(name, function, options.floor, bool(getattr(found, "needs_target", False)))


def _from_entry_point(name: str) -> Any:
    point = installed_rewards()[name]
    try:
        return point.load()
    except Exception as error:
        raise RewardError(f"rewards.{name}: {point.value} cannot be loaded ({_said(error)})") from error


def _from_file(name: str, file: str) -> Any:
    path = Path(file).expanduser()
    if path.suffix != ".py" or not path.is_file():
        raise RewardError(f"rewards.{name}.file: {file!r} is no Python file; give the path of one that defines {name}")
    spec = spec_from_file_location(f"rtrl_chem_reward_{name}", path)
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RewardError(f"rewards.{name}.file: {file!r} cannot be run ({_said(error)})") from error
    if not hasattr(module, name):
        public = [word for word, value in vars(module).items() if callable(value) and not word.startswith("_")]
        raise RewardError(f"rewards.{name}.file: {file!r} defines no {name}; {did_you_mean(name, public)}")
    return getattr(module, name)


def _check_options(name: str, found: Callable[..., Any], options: dict[str, Any]) -> None:
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # some callables written in C have none
        return
    positional = [] if inspect.isclass(found) else [None]
    try:
        signature.bind(*positional, **options)
    except TypeError as error:
        raise RewardError(f"rewards.{name}: its options do not fit {name}{signature} ({error})") from None


def _sample(batch: Batch, row: int) -> str:
    return f"x={_short(batch.sources[row])}, y={_short(batch.outputs[row])}"


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__

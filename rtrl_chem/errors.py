"""Errors a user can cause: one line each, saying what was given, what it must be and what to do.

The command line prints the message to stderr and exits with the class's `exit_status`: 2 when the call or the config is
wrong, 1 when the work itself failed.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = [
    "ConfigError",
    "CorpusError",
    "DivergedError",
    "Interrupted",
    "ModelError",
    "OutOfMemoryError",
    "ResumeError",
    "RewardError",
    "RtrlError",
    "RunFolderError",
    "SavingError",
    "did_you_mean",
    "problems_of",
]


class RtrlError(Exception):
    """Base of every error that is the user's to fix; anything else is a bug and keeps its traceback."""

    exit_status: int = 1


class ConfigError(RtrlError):
    """The call or a config file is wrong. One error carries every problem found, so one run is enough to fix them all.

    `ConfigError("one problem")` or `ConfigError(["first", "second"], where="my.yaml")`; `where` is put in front of the
    message. `problems` keeps them apart; an empty list of problems is itself a mistake (ValueError).
    """

    exit_status = 2

    def __init__(self, problems: str | Iterable[str], where: str | None = None) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        self.where = where
        if not self.problems:
            raise ValueError("ConfigError needs at least one problem")
        super().__init__(self._message())

    def _message(self) -> str:
        prefix = f"{self.where}: " if self.where else ""
        if len(self.problems) == 1:
            return prefix + self.problems[0]
        return f"{prefix}{len(self.problems)} problems:\n" + "\n".join(f"  - {problem}" for problem in self.problems)

    def __reduce__(self) -> tuple[type[ConfigError], tuple[list[str], str | None]]:
        # The default pickles the message as `problems`; errors cross process borders in data workers.
        return type(self), (self.problems, self.where)


class CorpusError(RtrlError):
    """A corpus that cannot be used: unreadable, empty, or every row rejected."""


class ModelError(RtrlError):
    """A model that cannot be used: no tokenizer, an encoder-decoder, an unknown architecture."""


class RunFolderError(RtrlError):
    """The output folder is in the way, or is not a run folder."""

    exit_status = 2


class ResumeError(RtrlError):
    """A run that cannot be resumed: nothing saved, or saved under a different config."""


class RewardError(RtrlError):
    """A reward that cannot be computed as configured."""


class DivergedError(RtrlError):
    """Training whose gradient is no number any more."""


class SavingError(RtrlError):
    """What was computed and cannot be saved."""


class OutOfMemoryError(RtrlError):
    """Work that does not fit the accelerator's memory; `doing` says which."""

    def __init__(self, doing: str, cure: str, said: str) -> None:
        self.doing = doing
        super().__init__(f"out of memory while {_DOING[doing]} ({said}): {cure}")


_DOING = {
    "loading": "loading the model",
    "measuring": "measuring the model",
    "rollout": "the policy wrote samples",
    "scoring": "the reverse model scored samples",
    "update": "the policy was updated",
}


class Interrupted(RtrlError):
    """A run that was asked to end by a signal, and has saved what it had."""

    def __init__(self, number: int) -> None:
        self.number = number
        asked = signal.Signals(number)
        # SLURM's warning is no failure; the others end a process with 128 + their number.
        self.exit_status = 0 if asked.name == "SIGUSR1" else 128 + number
        super().__init__(f"stopped by {asked.name}; what was done is saved, go on with --resume")


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """A hint to end an error message with: the nearest allowed word, or the whole list when none is near.

    >>> did_you_mean("foward_prompt", ["forward_prompt", "reverse_prompt"])
    "did you mean 'forward_prompt'?"
    >>> did_you_mean("zzz", ["forward", "reverse"])
    "choose from 'forward', 'reverse'"
    """
    words = list(allowed)
    if close := get_close_matches(given, words, n=1, cutoff=0.6):
        return f"did you mean {close[0]!r}?"
    return "choose from " + ", ".join(repr(word) for word in words)


def problems_of(error: ValidationError, allowed: Callable[[tuple[int | str, ...]], Iterable[str]]) -> list[str]:
    """A pydantic error as lines for `ConfigError`, one per problem, each starting with the key it is about.

    `allowed` gives the keys that may stand under a location (`()` is the top level): a misspelt key gets the nearest.
    """
    return [_problem(dict(detail), allowed) for detail in error.errors(include_url=False)]


_MUST_BE = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dataclass_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
}


def _problem(detail: dict[str, Any], allowed: Callable[[tuple[int | str, ...]], Iterable[str]]) -> str:
    location, kind, given = detail["loc"], detail["type"], detail["input"]
    where = ".".join(str(part) for part in location)
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{where}: unknown key; {did_you_mean(str(location[-1]), allowed(location[:-1]))}"
    if kind == "missing":
        return f"{where}: missing, it has no default"
    if kind == "literal_error":
        return f"{where}: got {given!r}, must be {detail['ctx']['expected']}"
    if kind == "value_error":
        return f"{where}: {detail['ctx']['error']}" if where else str(detail["ctx"]["error"])
    must_be = _MUST_BE.get(kind)
    return f"{where}: got {given!r}, must be {must_be}" if must_be else f"{where}: got {given!r}. {detail['msg']}"

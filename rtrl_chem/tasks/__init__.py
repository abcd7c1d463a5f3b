"""Tasks: pairs of domains with their prompts, and the styles in which a model is asked.

`load_task("naming")` gives a built-in task, `load_task("my_task.yaml")` a user's own; `get_style("chat")` says how a
prompt and an answer look for a kind of model.
"""

from __future__ import annotations

from pathlib import Path

from rtrl_chem.errors import ConfigError, did_you_mean
from rtrl_chem.tasks.base import EQUALITIES, Direction, Domain, Example, Task, read_task_file
from rtrl_chem.tasks.captioning import CAPTIONING
from rtrl_chem.tasks.naming import NAMING
from rtrl_chem.tasks.prompts import STYLES, PromptStyle, get_style
from rtrl_chem.tasks.reaction import REACTION

__all__ = [
    "EQUALITIES",
    "STYLES",
    "TASKS",
    "Direction",
    "Domain",
    "Example",
    "PromptStyle",
    "Task",
    "get_style",
    "load_task",
]

TASKS: dict[str, Task] = {task.name: task for task in (NAMING, REACTION, CAPTIONING)}


def load_task(name_or_path: str | Path) -> Task:
    """A built-in task by its name, or the task in a YAML file; ConfigError if it is neither or the file is wrong."""
    given = str(name_or_path)
    if given in TASKS:
        return TASKS[given]
    # A path is told by its look as well as by being there, so that a mistyped one gets a message about files.
    if Path(given).suffix.lower() in (".yaml", ".yml") or "/" in given or Path(given).is_file():
        return read_task_file(given)
    raise ConfigError(
        f"task {given!r} is neither a built-in task nor a path to a YAML file; {did_you_mean(given, TASKS)}"
    )

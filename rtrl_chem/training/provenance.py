"""What a run's result depends on, and whether a run that is to be resumed still has all of it.

Each thing has a key: the config's own keys, the same keys for what the files hold that they name (`data.molecules`,
`model.path`), `packages.NAME` for versions, `processes` for their number. `--allow-changed KEY` lets one change, or all
that begin with `KEY.`.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from rtrl_chem.config import CORPUS_KEYS, Config
from rtrl_chem.data.prepared import is_prepared, open_prepared
from rtrl_chem.errors import ResumeError
from rtrl_chem.passthrough import RUN_WIDE

__all__ = ["OF_THE_START", "Change", "changes", "environment", "fingerprints", "listed", "refuse"]

# Those whose version can change what a run computes.
PACKAGES = (
    "rtrl-chem",
    "torch",
    "transformers",
    "tokenizers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "rdkit",
    "numpy",
)
# What the finished part of a run was made of: another value would give its steps another meaning.
FIXED = ("task", "directions", "steps_per_phase", "schedule", "regime", "models")
# What may change without a phase that was begun having to begin anew.
BESIDE = (
    "evaluation",
    "guards",
    "rounds",
    "packages",
    "logging",
    "save_merged",
    "trainer.report_to",
    "trainer.save_steps",
    *(f"trainer.{field}" for field in RUN_WIDE),
)
# What a measurement of the start model depends on.
OF_THE_START = ("task", "model", "models", "reverse_model", "evaluation", "guards")
# A file up to here is read whole; of a larger one so many pieces, evenly spaced.
WHOLE, PIECES, PIECE = 2**26, 512, 2**16


@dataclass(frozen=True)
class Change:
    """One thing that is not as it was."""

    key: str
    before: str
    now: str

    def __str__(self) -> str:
        return f"{self.key} {self.before} (now {self.now})"

    def under(self, keys: Iterable[str]) -> bool:
        """Whether one of these keys is its own or stands above it."""
        return any(self.key == key or self.key.startswith(key + ".") for key in keys)


def environment() -> dict[str, Any]:
    """What a result depends on beyond config, data and model."""
    return {
        "packages": {package: _version(package) for package in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "command": ["rtrl-chem", *sys.argv[1:]],
        "cpus": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }


def fingerprints(config: Config) -> dict[str, str]:
    """By key, what tells the contents of the files apart that a config names: data, models, its task, rewards of the
    user's own. What is bundled or on the Hub is told apart by its name."""
    sections = {"data": config.data, "evaluation": config.evaluation, "guards": config.guards}
    found = {}
    for name, section in sections.items():
        for word in CORPUS_KEYS:
            given = getattr(section, word, None) or ()
            paths = [given] if isinstance(given, str) else [one.path for one in given]
            for number, path in enumerate(paths):
                found[f"{name}.{word}" + (f".{number}" if number else "")] = _of_data(path)
    files = {"task": config.task, "evaluation.guard": config.evaluation.guard}
    files |= {f"rewards.{name}.file": getattr(term, "file", None) for name, term in _terms(config).items()}
    for key, file in files.items():
        found[key] = _of_files([Path(file).expanduser()] if file is not None else [])
    models = {"model.path": config.model, "reverse_model.path": config.reverse_model}
    models["rewards.referee.model.path"] = getattr(_terms(config).get("referee"), "model", None)
    for key, model in models.items():
        if model is not None and Path(model.path).is_dir():
            found[key] = _of_files(path for path in sorted(Path(model.path).rglob("*")) if path.is_file())
    return {key: value for key, value in found.items() if value}


def _terms(config: Config) -> Mapping[str, Any]:
    """The terms of the reward that are on."""
    terms: Mapping[str, Any] = config.rewards
    return {name: terms[name] for name in config.reward_weights}


def changes(
    configs: tuple[Config, Config],
    contents: tuple[Mapping[str, str], Mapping[str, str]],
    environments: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> list[Change]:
    """Everything that is not as it was, of pairs (before, now) of configs, fingerprints and environments."""
    # The folder may have been moved, or be named by another path: it is this one.
    given = [one.model_dump(mode="json", exclude={"output_dir"}) for one in configs]
    found = list(_differences(given[0], given[1]))
    named = {one.key for one in found}
    for key in sorted(contents[0].keys() & contents[1].keys() - named):
        if contents[0][key] != contents[1][key]:
            found.append(Change(key, "with other contents", "changed"))
    versions = [one.get("packages", {}) for one in environments]
    found += [
        Change(f"packages.{name}", str(versions[0][name]), str(versions[1].get(name)))
        for name in PACKAGES
        if name in versions[0] and versions[0][name] != versions[1].get(name)
    ]
    before, now = (one.get("processes", 1) for one in environments)
    return found + ([Change("processes", str(before), str(now))] if before != now else [])


def refuse(found: Iterable[Change], allowed: Collection[str], begun: bool) -> bool:
    """ResumeError for changes that are not allowed, or cannot be once a step was taken (`begun`). Returns whether a
    phase that was begun can go on from where it was."""
    found = list(found)
    if begun and (fixed := [one for one in found if one.under(FIXED)]):
        raise ResumeError(f"--resume: the run was started with {listed(fixed)}; restore it or start a new run")
    if refused := [one for one in found if not one.under(allowed)]:
        keys = " ".join(f"--allow-changed {one.key}" for one in refused)
        raise ResumeError(
            f"--resume: the run was started with {listed(refused)}; restore it, start a new run, or go on all the "
            f"same with {keys}"
        )
    return all(one.under(BESIDE) for one in found)


def listed(found: Iterable[Change]) -> str:
    """Changes in a sentence."""
    return ", ".join(map(str, found))


def _differences(a: Any, b: Any, key: str = "") -> Iterable[Change]:
    if isinstance(a, dict) and isinstance(b, dict):
        for name in sorted(a.keys() | b.keys()):
            yield from _differences(a.get(name), b.get(name), f"{key}.{name}" if key else name)
    elif a != b:
        yield Change(key, repr(a), repr(b))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _of_data(path: str) -> str:
    if is_prepared(path):
        return open_prepared(path).fingerprint()
    return _of_files([Path(path).expanduser()])


def _of_files(paths: Iterable[Path]) -> str:
    """A hash of the files' contents, "" where there is none; of large files of samples."""
    found, any_file = hashlib.sha256(), False
    for path in paths:
        if not path.is_file():
            continue
        any_file = True
        size = path.stat().st_size
        found.update(f"{path.name} {size} ".encode("utf8", "surrogateescape"))
        with path.open("rb") as file:
            if size <= WHOLE:
                found.update(file.read())
                continue
            for i in range(PIECES):
                file.seek(i * (size - PIECE) // (PIECES - 1))
                found.update(file.read(PIECE))
    return found.hexdigest()[:16] if any_file else ""

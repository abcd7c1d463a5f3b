"""What a config names, looked up without reading it: a missing file is found before torch is imported.

Only what is surely wrong is a problem. Whatever could be on the Hub counts as there; what a file holds is for
`rtrl_chem.data` and `rtrl_chem.models` to find out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from rtrl_chem.config import Config
from rtrl_chem.errors import ConfigError, did_you_mean
from rtrl_chem.passthrough import batch_problem

__all__ = ["Findings", "bundled_data", "bundled_models", "look_up"]

PREFIX = "bundled:"
ENDINGS = {".smi", ".smiles", ".txt", ".csv", ".tsv", ".jsonl", ".parquet"}
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class Findings:
    """Problems stop a run, warnings do not; each is one line."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def look_up(config: Config, processes: int | None = None) -> Findings:
    """Whether files, bundled names and the output folder are as a run needs them.

    `processes` is the number a run would have; where it is unknown, batches that only fit several are a warning.
    """
    sources = [
        (f"{section}.{key}", path, form)
        for section, part, form in (
            ("data", config.data, config.data.format),
            ("evaluation", config.evaluation, None),
        )
        for key in ("molecules", "outputs", "pairs")
        if (path := getattr(part, key)) is not None
    ]
    problems = [_data_problem(*source) for source in sources]
    problems += [_guard_problem(config.evaluation.guard)]
    problems += [_model_problem(config.model.path, config.model.gguf_file)]
    folder_problem, warning = _output_findings(config.output_dir)
    batch = batch_problem(config.trainer, processes or 1) if config.algorithm == "grpo" else None
    problems += [folder_problem, batch if processes else None]
    warnings = [warning, None if processes else batch]
    return Findings(tuple(filter(None, problems)), tuple(filter(None, warnings)))


def bundled_data() -> list[str]:
    """Names of the bundled data sets. `rtrl_chem.data.bundled` has them too, but its package imports RDKit."""
    root = _assets()
    return sorted(PREFIX + str(path.relative_to(root).as_posix())[: -len(".tsv.gz")] for path in root.rglob("*.tsv.gz"))


def bundled_models() -> list[str]:
    """Names of the bundled models."""
    return sorted(PREFIX + path.parent.name for path in _assets().glob("*/tokenizer_config.json"))


def _assets() -> Path:
    return Path(str(files("rtrl_chem"))) / "assets"


def _data_problem(key: str, given: str, form: str | None) -> str | None:
    if given.startswith(PREFIX):
        names = bundled_data()
        return None if given in names else f"{key}: no bundled data set {given!r}; {did_you_mean(given, names)}"
    path = Path(given).expanduser()
    if path.is_dir():
        return f"{key}: {given!r} is a folder; give one file"
    known = Path(re.sub(r"\.(gz|xz|zst|bz2)$", "", path.name.lower())).suffix in ENDINGS
    if path.exists():
        endings = ", ".join(sorted(ENDINGS))
        return (
            None
            if known or form
            else f"{key}: {given!r} ends in none of {endings} (also packed, .gz .xz .zst); say data.format"
        )
    if "/" in given and form is None and not known and _may_be_on_hub(given, path):
        return None
    return f"{key}: no file {given!r}; give a file, a Hub data set id (org/name) or bundled:NAME"


def _guard_problem(given: str | None) -> str | None:
    from rtrl_chem.evaluation.suites.schema import load_suite

    if given is None:
        return None
    try:
        suite = load_suite(given)
    except ConfigError as error:
        return f"evaluation.guard: {error.problems[0]}"
    return f"evaluation.guard: {given!r} has parts; name a suite of texts and questions alone" if suite.parts else None


def _model_problem(given: str, gguf_file: str | None) -> str | None:
    if given.startswith(PREFIX):
        names = bundled_models()
        return None if given in names else f"model.path: no bundled model {given!r}; {did_you_mean(given, names)}"
    path = Path(given).expanduser()
    if path.is_dir():
        wanted = [gguf_file] if gguf_file else ["config.json", "adapter_config.json"]
        found = any((path / name).is_file() for name in wanted)
        return None if found else f"model.path: {given!r} is not a model's folder, it has no {wanted[0]}"
    if path.exists():
        return f"model.path: {given!r} is a file; give the model's folder (of a GGUF: and its name as model.gguf_file)"
    if _may_be_on_hub(given, path):
        return None
    return f"model.path: no folder {given!r}; give a folder, a Hub model id (org/name) or bundled:NAME"


def _may_be_on_hub(given: str, path: Path) -> bool:
    """`org/name`, unless there is a folder `org` here: then it is a misspelt path."""
    return bool(HUB_ID.fullmatch(given)) and ("/" not in given or not path.parent.exists())


def _output_findings(output_dir: str) -> tuple[str | None, str | None]:
    """(problem, warning) about the output folder."""
    path = Path(output_dir).expanduser()
    if path.is_dir() and any(path.iterdir()):
        return None, f"output_dir: {output_dir!r} exists; train will need --resume or --overwrite"
    if any(place.exists() and not place.is_dir() for place in (path, *path.parents)):
        return f"output_dir: {output_dir!r} is, or is inside, a file; give a folder", None
    return None, None

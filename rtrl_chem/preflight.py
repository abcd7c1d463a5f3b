"""What a config names, looked up without reading it: a missing file is found before torch is imported.

Only what is surely wrong is a problem. Whatever could be on the Hub counts as there; what a file holds is for
`rtrl_chem.data` and `rtrl_chem.models` to find out.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rtrl_chem.config import CORPUS_KEYS, Config, CorpusKey, DataConfig, ModelConfig
from rtrl_chem.errors import ConfigError, RtrlError, did_you_mean
from rtrl_chem.passthrough import ON_POLICY, TRACKERS, batch_problem, named_trackers
from rtrl_chem.tasks import load_task

__all__ = ["Findings", "bundled_data", "bundled_models", "is_hub_id", "look_up", "model_problem", "trackers_of"]

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
    problems = [problem for key in CORPUS_KEYS for problem in _corpora_problems(config.data, key)]
    held_out = [(key, getattr(config.evaluation, key)) for key in CORPUS_KEYS]
    problems += [_data_problem(f"evaluation.{key}", path, None) for key, path in held_out if path is not None]
    if config.guards is not None and config.guards.pairs is not None:
        problems += [_data_problem("guards.pairs", config.guards.pairs, None), _validation_problem(config)]
    problems += [_guard_problem(config.evaluation.guard)]
    problems += [model_problem(config.model.path, config.model.gguf_file), _quantization_problem(config)]
    if own := config.reverse_model:
        problems += [model_problem(own.path, own.gguf_file, "reverse_model")]
    folder_problem, warning = _output_findings(config.output_dir)
    batch = None
    if config.algorithm in ON_POLICY:
        groups = 2 if config.schedule == "joint" else 1
        batch = batch_problem(config.trainer, processes or 1, config.algorithm, groups)
    push_problem, push_warnings = _push_findings(config)
    problems += _reward_problems(config) + _tracker_problems(config)
    problems += [folder_problem, batch if processes else None, push_problem]
    warnings = [warning, None if processes else batch, *push_warnings]
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


def _corpora_problems(data: DataConfig, key: CorpusKey) -> list[str | None]:
    """About each corpus under a key of `data`: looked up, and of a kind that can be streamed where that is wanted."""
    problems = []
    streamed = data.streaming is not None and key != "pairs"
    for number, one in enumerate(data.corpora(key), 1):
        name = f"data.{key}" if isinstance(getattr(data, key), str) else f"data.{key}: corpus {number}"
        problems.append(_data_problem(name, one.path, one.format))
        if streamed and problems[-1] is None and Path(one.path).expanduser().is_dir():
            problems[-1] = f"{name}: {one.path!r} is a prepared corpus, read at random; leave data.streaming out"
    return problems


def _data_problem(key: str, given: str, form: str | None) -> str | None:
    if given.startswith(PREFIX):
        names = bundled_data()
        return None if given in names else f"{key}: no bundled data set {given!r}; {did_you_mean(given, names)}"
    path = Path(given).expanduser()
    if path.is_dir():
        from rtrl_chem.data.prepared import open_prepared  # imports RDKit, so only where there is a folder

        try:
            open_prepared(path)
        except RtrlError as error:
            return f"{key}: {error}"
        return None
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


def _validation_problem(config: Config) -> str | None:
    if config.guards is None or config.guards.pairs != config.evaluation.pairs:
        return None
    return f"guards.pairs: {config.guards.pairs!r} is evaluation.pairs too; what decides must not be what is reported"


def _guard_problem(given: str | None) -> str | None:
    from rtrl_chem.evaluation.suites.schema import load_suite

    if given is None:
        return None
    try:
        suite = load_suite(given)
    except ConfigError as error:
        return f"evaluation.guard: {error.problems[0]}"
    return f"evaluation.guard: {given!r} has parts; name a suite of texts and questions alone" if suite.parts else None


def model_problem(given: str, gguf_file: str | None = None, section: str = "model") -> str | None:
    """What is wrong with the name of a model, None where nothing is or only loading can tell."""
    key = f"{section}.path"
    if given.startswith(PREFIX):
        names = bundled_models()
        return None if given in names else f"{key}: no bundled model {given!r}; {did_you_mean(given, names)}"
    path = Path(given).expanduser()
    if path.is_dir():
        wanted = [gguf_file] if gguf_file else ["config.json", "adapter_config.json"]
        found = any((path / side / name).is_file() for name in wanted for side in ("", "forward"))
        return None if found else f"{key}: {given!r} is not a model's folder, it has no {wanted[0]}"
    if path.exists():
        return f"{key}: {given!r} is a file; give the model's folder (of a GGUF: and its name as {section}.gguf_file)"
    if _may_be_on_hub(given, path):
        return None
    return f"{key}: no folder {given!r}; give a folder, a Hub model id (org/name) or bundled:NAME"


def _quantization_problem(config: Config) -> str | None:
    for section in ("model", "reverse_model"):
        model = getattr(config, section)
        if model is not None and model.quantization is not None and find_spec("bitsandbytes") is None:
            return f"{section}.quantization: needs bitsandbytes; pip install 'rtrl-chem[qlora]', or leave it out"
    return None


def _reward_problems(config: Config) -> list[str | None]:
    """What the rewards need and is not there: labels, Java, another model, a file."""
    terms: Mapping[str, Any] = {name: config.rewards[name] for name in config.reward_weights}  # type: ignore[literal-required]
    problems: list[str | None] = [
        f"rewards.{name}.file: no file {term.file!r}; give the Python file that defines {name}"
        for name, term in terms.items()
        if getattr(term, "file", None) is not None and not Path(term.file).expanduser().is_file()
    ]
    if "supervised" in terms:
        problems += _supervised_problems(config, terms["supervised"].prose)
    if referee := terms.get("referee"):
        problems.append(_referee_problem(referee.model))
    return problems


def _supervised_problems(config: Config, prose: str) -> list[str]:
    task = load_task(config.task)
    problems = []
    if config.data.pairs is None:
        problems.append("rewards.supervised: there are no labels; give data.pairs, or leave it out")
    written = any(task.output(direction).prose for direction in config.directions)
    if written and prose.startswith("rouge") and find_spec("rouge_score") is None:
        problems.append(
            "rewards.supervised.prose: ROUGE needs rouge-score; pip install 'rtrl-chem[metrics]', or set bleu4"
        )
    return problems


def _referee_problem(model: ModelConfig | None) -> str | None:
    if model is None:
        there = find_spec("py2opsin") is not None and shutil.which("java") is not None
        return None if there else "rewards.referee: OPSIN needs Java and py2opsin; install Java and `rtrl-chem[opsin]`"
    return model_problem(model.path, model.gguf_file, "rewards.referee.model")


def is_hub_id(given: str) -> bool:
    """Whether it names something on the Hub, and nothing here."""
    path = Path(given).expanduser()
    return not path.exists() and _may_be_on_hub(given, path)


def trackers_of(config: Config) -> list[str]:
    """The names of the trackers that a run reports to; "all" are those that are installed."""
    named = named_trackers(config.trainer)
    return [name for name in TRACKERS if _is_installed(name)] if "all" in named else list(named)


def _tracker_problems(config: Config) -> list[str | None]:
    return [
        f"trainer.report_to: {name} is not installed; pip install {TRACKERS[name]}, or set report_to to none or "
        "another tracker"
        for name in trackers_of(config)
        if not _is_installed(name)
    ]


def _is_installed(module: str) -> bool:
    """Whether there is such a module, and not just a folder of that name here: W&B leaves one."""
    found = find_spec(module)
    return found is not None and found.origin is not None


def _may_be_on_hub(given: str, path: Path) -> bool:
    """`org/name`, unless there is a folder `org` here: then it is a misspelt path."""
    return bool(HUB_ID.fullmatch(given)) and ("/" not in given or not path.parent.exists())


def _push_findings(config: Config) -> tuple[str | None, list[str]]:
    """(problem, warnings) about an upload that is asked for: better now than after the training."""
    if not config.trainer.get("push_to_hub"):
        return None, []
    name = config.trainer.get("hub_model_id")
    problem, warnings = None, []
    if name is not None and not HUB_ID.fullmatch(name):
        problem = f"trainer.hub_model_id: got {name!r}, must be org/name or name"
    from huggingface_hub import get_token

    if get_token() is None:
        warnings.append("trainer.push_to_hub: there is no token; set HF_TOKEN or log in with `hf auth login`")
    base = config.model.path
    if config.model.lora is not None and not config.save_merged and _lies_here(base):
        warnings.append(
            f"trainer.push_to_hub: the adapter is pushed without its base, which it names as {base!r}, a path of this "
            "machine; set save_merged: true to push the whole model"
        )
    return problem, warnings


def _lies_here(model: str) -> bool:
    """Whether it is a whole model that others do not find under this name."""
    return model.startswith(PREFIX) or (Path(model) / "config.json").is_file()


def _output_findings(output_dir: str) -> tuple[str | None, str | None]:
    """(problem, warning) about the output folder."""
    path = Path(output_dir).expanduser()
    if path.is_dir() and any(path.iterdir()):
        return None, f"output_dir: {output_dir!r} exists; train will need --resume or --overwrite"
    if any(place.exists() and not place.is_dir() for place in (path, *path.parents)):
        return f"output_dir: {output_dir!r} is, or is inside, a file; give a folder", None
    return None, None

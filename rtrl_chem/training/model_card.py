"""The card that goes with a trained model, README.md of RUN/model/: what it was made from, how, what was measured, what
it is not, and under which licences."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtrl_chem import __version__, strict_yaml
from rtrl_chem.config import CORPUS_KEYS, Config
from rtrl_chem.data import Corpus, Pairs
from rtrl_chem.data.bundled import PREFIX, is_bundled
from rtrl_chem.data.prepared import is_prepared, open_prepared
from rtrl_chem.errors import RtrlError
from rtrl_chem.evaluation.measure import DETAILS
from rtrl_chem.evaluation.summary import Changes, Summary
from rtrl_chem.evaluation.tables import change_cells
from rtrl_chem.models.origin import origin_of
from rtrl_chem.preflight import is_hub_id
from rtrl_chem.reporting.hack_report import HackReport, verdict_table
from rtrl_chem.reporting.markdown import cell, code, plain, table
from rtrl_chem.tasks import Direction, Task
from rtrl_chem.training.run_folder import State

__all__ = ["Facts", "ReadFile", "model_card"]

# Of what is bundled; the README files beside it say more.
DATA_LICENCES = {
    "naming": "molecules of the PyPI package chemicals (MIT), names by openclatura (MIT), checked by OPSIN (MIT)",
    "reaction": "reactions made for rtrl-chem (Apache-2.0) of molecules of the PyPI package chemicals (MIT)",
    "guard": "texts and questions written for rtrl-chem (Apache-2.0)",
}
BUNDLED_MODEL_LICENCE = "apache-2.0"
ARRANGED = {
    "adapters": "`forward/` and `reverse/` are LoRA adapters over the start model, one for each direction",
    "separate": "`forward/` and `reverse/` are models of their own, one for each direction",
}
MERGED = "`forward/` and `reverse/` are whole models, one for each direction, with their adapters merged into them"


@dataclass(frozen=True)
class ReadFile:
    """A file of training data as it was read. `fingerprint` is the start of a sha256 over what was kept of it."""

    path: str
    rows: int
    kept: int
    duplicates: int
    rejected: int
    fingerprint: str

    @classmethod
    def of(cls, found: Corpus | Pairs) -> ReadFile:
        """What there is to say of it."""
        path = found.files[0]
        fingerprint = open_prepared(path).fingerprint() if is_prepared(path) else found.fingerprint()
        return cls(path, found.rows_in, len(found), found.duplicates, len(found.rejects), fingerprint[:16])


@dataclass(frozen=True)
class Facts:
    """What a card tells, as far as it is known.

    `prompts` are an example for each direction, `environment` is the content of environment.json.
    """

    config: Config
    task: Task
    state: State
    environment: Mapping[str, Any] = field(default_factory=dict)
    read: Sequence[ReadFile] = ()
    held_out: Sequence[str] = ()
    prompts: Mapping[Direction, str] = field(default_factory=dict)
    summary: Summary | None = None
    hacks: HackReport | None = None
    notes: Sequence[str] = ()


def model_card(facts: Facts) -> str:
    """The card as Markdown, with the metadata block that the Hub reads. What models and files say is escaped, and the
    home folder is `~`: a card is published, and need not say who has trained the model."""
    config = facts.config
    sections = {
        "": _introduction(facts),
        "How it was trained": _training(facts),
        "Data": _data(facts),
        "Held-out results": _results(facts.summary),
        "Signs of cheating": _cheating(facts.hacks),
        "Limits": LIMITS.strip().splitlines(),
        "Licences": _licences(config),
        "How to repeat it": _repeat(facts),
    }
    lines = ["---", strict_yaml.dump(_metadata(config)).rstrip("\n"), "---", ""]
    lines += [f"# {plain(facts.task.name)}: a model trained by rtrl-chem {__version__}", ""]
    for title, body in sections.items():
        lines += [*([f"## {title}", ""] if title else []), *body, ""]
    return _without_home("\n".join(lines))


def _without_home(card: str) -> str:
    home = str(Path.home()).rstrip("/\\")
    for spelt in {home, json.dumps(home)[1:-1]} - {""}:  # as in prose, as in code and YAML
        card = re.sub(rf"(?<![\w/]){re.escape(spelt)}(?![\w.-])", "~", card)
    return card


# ---- metadata -------------------------------------------------------------------------------------------------------


def _metadata(config: Config) -> dict[str, Any]:
    bases = [base for base in _bases(config) if is_hub_id(base)]
    adapter = config.model.lora is not None and not config.save_merged
    paths = [one.path for key in CORPUS_KEYS for one in config.data.corpora(key)]
    known = {
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-generation",
        "license": _licence(config),
        "base_model": bases[0] if len(bases) == 1 else bases,
        "base_model_relation": "adapter" if adapter and bases else None,
        "datasets": list(dict.fromkeys(path for path in paths if "/" in path and is_hub_id(path))),
        "tags": ["chemistry", "round-trip-rl", "rtrl-chem", *(["lora"] if config.model.lora is not None else [])],
    }
    return {key: value for key, value in known.items() if value}


def _bases(config: Config) -> list[str]:
    """The models that training began with: those under an adapter, where one was trained on."""
    found = []
    for model in filter(None, (config.model, config.reverse_model)):
        try:
            found.append(model.path if is_bundled(model.path) else origin_of(model.path).base)
        except RtrlError:  # the folder is not there any more
            found.append(model.path)
    return list(dict.fromkeys(found))


def _licence(config: Config) -> str | None:
    """That of the start models, where all are bundled or say it in their own cards."""
    found = {BUNDLED_MODEL_LICENCE if is_bundled(base) else _licence_of_card(base) for base in _bases(config)}
    return found.pop() if len(found) == 1 else None


def _licence_of_card(folder: str) -> str | None:
    try:
        _, block, _ = (Path(folder) / "README.md").read_text(encoding="utf8").split("---\n", 2)
        content, _ = strict_yaml.parse(block)
    except (OSError, ValueError):  # none, or without a block
        return None
    licence = content.get("license") if isinstance(content, dict) else None
    return licence if isinstance(licence, str) else None


# ---- sections -------------------------------------------------------------------------------------------------------


def _introduction(facts: Facts) -> list[str]:
    task = facts.task
    ways = " and ".join(
        f"the {plain(task.output(way).noun)} from the {plain(task.source(way).noun)} ({way})"
        for way in facts.config.directions
    )
    lines = [f"Trained to write {ways}, by round trips: an output is good if the input is found again from it."]
    if facts.prompts:
        lines += ["", "It is asked like this, and answers after it:", ""]
        lines += [f"- {way}: {code(prompt)}" for way, prompt in facts.prompts.items()]
    return lines


def _training(facts: Facts) -> list[str]:
    config, phases = facts.config, facts.state.phases
    order = (" + " if config.schedule == "joint" else " -> ").join(map(str, config.directions))
    rewards = ", ".join(f"{name} {weight:g}" for name, weight in config.reward_weights.items())
    rows = {
        "start model": ", ".join(map(cell, _bases(config))),
        "regime": " + ".join(config.regimes),
        "algorithm": config.algorithm,
        "rewards": rewards if config.trains_by_algorithm and config.algorithm != "sft" else "",
        "planned": f"{config.rounds} rounds of {order}, {config.steps_per_phase} steps each",
        "done": f"{len(phases)} phases, {sum(p['steps'] for p in phases):,} optimizer steps, "
        f"{sum(p['samples'] for p in phases):,} samples",
        "models": _arranged(config),
        "LoRA": cell(json.dumps(config.model.lora)) if config.model.lora is not None else "",
        "trainer": cell(json.dumps(config.trainer)),
        "final model": _best(facts.state) if config.trainer.get("load_best_model_at_end") else "",
        "seed": str(config.seed),
    }
    notes = ["", " ".join(map(plain, facts.notes))] if facts.notes else []
    return [*table(["what", "how"], [[name, text] for name, text in rows.items() if text]), *notes]


def _arranged(config: Config) -> str:
    if config.models in ARRANGED:
        return MERGED if config.save_merged else ARRANGED[config.models]
    if config.model.lora is None:
        return ""
    return "the whole model, its LoRA adapter merged into it" if config.save_merged else "a LoRA adapter"


def _best(state: State) -> str:
    if state.best is None:
        return ""
    by = f"by {plain(state.best['metric'])}: {state.best['value']:.4g}"
    if state.best["stage"] == "start":
        return f"the start model: no round was better {by}"
    return f"the best stage, {plain(state.best['stage'])}, {by}"


def _data(facts: Facts) -> list[str]:
    rows = [
        [cell(one.path), f"{one.rows:,}", f"{one.kept:,}", f"{one.duplicates:,}", f"{one.rejected:,}", one.fingerprint]
        for one in facts.read
    ]
    if facts.config.data.streaming is not None:
        streamed = [one.path for key in CORPUS_KEYS if key != "pairs" for one in facts.config.data.corpora(key)]
        rows += [[cell(path), "streamed", "", "", "", ""] for path in streamed]
    head = ["file", "rows", "kept", "duplicates", "set aside", "sha256 of what was kept"]
    lines = table(head, rows) if rows else ["Not known."]
    if facts.config.data.limit is not None:
        lines += ["", f"Used: at most {facts.config.data.limit:,} items of each."]
    return lines + (["", *(f"- {plain(text)}" for text in facts.held_out)] if facts.held_out else [])


def _results(summary: Summary | None) -> list[str]:
    if summary is None:
        return ["It was not measured before training."]
    rows = [row for way, changes in summary.directions.items() for row in _rows(str(way), changes)]
    rows += [row for name, changes in summary.guard.items() for row in _rows(f"guard: {name}", changes)]
    head = ["where", "metric", "before", "after", f"difference [{summary.confidence:.0%} interval]", "items"]
    missing = [
        f"- not measured, {way}: {plain(name)} ({plain(reason)})"
        for way, changes in summary.directions.items()
        for name, reason in changes.not_measured.items()
    ]
    said = "Greedy answers; every item counts. Intervals: paired bootstrap over the items, so of this one seed."
    return [said, "", *table(head, rows), *(["", *missing] if missing else [])]


def _rows(where: str, changes: Changes) -> Iterator[list[str]]:
    for name, change in changes.metrics.items():
        if name not in DETAILS:
            yield [plain(where), plain(change.label), *change_cells(change), f"{change.n:,}"]


def _cheating(hacks: HackReport | None) -> list[str]:
    if hacks is None or not hacks.phases:
        return ["No samples were judged."]
    found = sum(hacks.reasons.values())
    said = f"{found:,} marks were given to the {hacks.examined:,} most rewarded outputs:"
    lines = [*verdict_table(hacks.phases), "", said, ""]
    lines += [f"- {plain(reason)}: {n:,}" for reason, n in hacks.reasons.items()] or ["- none"]
    return [*lines, "", "A mark is a reason to look, not a proof."]


LIMITS = """
- Round-trip consistency says that the model agrees with itself, not that it is right. Look at the metrics against
  labels and at the referee's beside it, where there are any.
- Verdicts look for empty, cut off and invalid outputs, for copies of the input and for an input that is hidden in the
  output in ways that are known. They see nothing else, and nothing of whether an answer is true.
- A valid structure is one that RDKit can read. That says nothing of stability, of how to make it, or of hazards.
- It was trained on molecules like those of its data. Of others (larger, charged, of other elements, mixtures, polymers,
  organometallics) nothing was measured unless the table says so.
- The intervals are over the items that were measured, not over seeds or other wordings of the request.
- It is a model for research: no output should be acted upon without a chemist's look.
"""


def _licences(config: Config) -> list[str]:
    lines = []
    for base in _bases(config):
        licence = BUNDLED_MODEL_LICENCE if is_bundled(base) else _licence_of_card(base)
        stated = code(licence) if licence else "not known here: it is that of the model"
        lines.append(f"- start model {code(base)}: {stated}")
    wanted = config.evaluation
    paths = [one.path for key in CORPUS_KEYS for one in config.data.corpora(key)]
    paths += [path for path in (wanted.pairs, wanted.molecules, wanted.outputs) if path]
    paths += [f"{PREFIX}guard/"] if wanted.guard == "guard" else []
    for path in dict.fromkeys(path.split("/")[0] if is_bundled(path) else path for path in paths):
        licence = DATA_LICENCES.get(path.removeprefix(PREFIX)) if is_bundled(path) else None
        lines.append(f"- data {code(path)}: {licence or 'not known here: it is that of the data'}")
    return lines


def _repeat(facts: Facts) -> list[str]:
    packages = {name: version for name, version in facts.environment.get("packages", {}).items() if version}
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    command = shlex.join(facts.environment.get("command", []))
    settings = strict_yaml.dump(facts.config.model_dump(mode="json", exclude_defaults=True))
    return [
        *([code(command), ""] if command else []),
        *([f"With {plain(versions)}.", ""] if versions else []),
        "The config, without what is as by default:",
        "",
        *(f"    {line}" for line in settings.splitlines()),
    ]

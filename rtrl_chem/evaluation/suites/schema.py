"""The file of a suite: closed models, read from YAML and `--set a.b=v`, checked as a whole; no torch, no RDKit.

name: chebi20
description: Captions of molecules and molecules from captions.
data:                            # named sets of rows, used by the parts below
  test:
    local: [chebi20/test.txt]    # below --data DIR; the first that is there
    hub: {id: org/name, revision: 7d44959bad..., split: test}
    licence: MIT
    split: test
    rows: 3300                   # in the published set; another number is remarked upon
parts:                           # a task in a direction
  captioning:
    task: captioning
    direction: forward
    data: test
    source: "{SMILES}"           # columns in braces; what the model is given
    target: "{description}"
    decoding: {method: greedy, max_new_tokens: 512}
    metrics: [bleu2, bleu4]      # the headline: what the table shows; metrics.json has every metric
texts: ...                       # likelihood of texts, see TextPart
questions: ...                   # multiple choice, see QuestionPart
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from typing_extensions import Self

from rtrl_chem.config import Closed, Count, ModelConfig, Text, apply_override, read_mapping
from rtrl_chem.errors import ConfigError, did_you_mean, problems_of
from rtrl_chem.models.decoding import Decoding
from rtrl_chem.tasks import Direction, Task, load_task

__all__ = [
    "DataSet",
    "Hub",
    "Part",
    "QuestionPart",
    "Suite",
    "TextPart",
    "columns_of",
    "is_suite",
    "load_suite",
    "suite_names",
]

SUFFIX = ".yaml"
_COLUMN = re.compile(r"\{([A-Za-z_]+)\}")


def columns_of(template: str) -> list[str]:
    """The columns that a template names, in its order.

    >>> columns_of("{reactants}>{reagents}")
    ['reactants', 'reagents']
    """
    return list(dict.fromkeys(_COLUMN.findall(template)))


def _check_template(template: str) -> str:
    if not columns_of(template):
        raise ValueError(f"must name a column in braces, such as {{smiles}}, got {template!r}")
    return template


def _check_task(task: str) -> str:
    try:
        load_task(task)
    except ConfigError as error:
        raise ValueError("; ".join(error.problems)) from None
    return task


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise ValueError(f"must be letters, digits, dots, dashes (it names a folder), got {name!r}")
    return name


Name = Annotated[str, AfterValidator(_check_name)]
Template = Annotated[str, AfterValidator(_check_template)]
# An enum member in strict mode would refuse the text it is written as.
Way = Annotated[Direction, Field(strict=False)]
# YAML has lists, the models tuples: frozen all the way down.
Names = Annotated[tuple[Text, ...], Field(strict=False)]


class Hub(Closed):
    """A data set of the Hugging Face Hub, pinned: whole, or one of its files."""

    id: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    """org/name."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    """The commit: what is measured must not change under a branch's name."""
    subset: Text | None = None
    """Configuration of the data set, if it has several."""
    split: Text | None = None
    """Split to load through `datasets`; or give file."""
    file: Text | None = None
    """A file of the repository, read as a local one would be."""
    member: Text | None = None
    """A file inside `file`, a zip archive."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.split is None) == (self.file is None):
            raise ValueError("give split (to load the data set) or file (to read one of its files), one of the two")
        return self


class DataSet(Closed):
    """Where rows come from: `file` as it is, `local` below --data, or the Hub. And what they are."""

    file: Text | None = None
    """A file of one's own, or bundled:NAME; --data has no say in it."""
    local: Names = ()
    """Paths below --data DIR, the first that is there counts."""
    hub: Hub | None = None
    licence: Text
    """As its publisher states it."""
    split: Text
    """Which part of the published set."""
    origin: Text | None = None
    """Where a person gets it: an address or a citation."""
    rows: Count | None = None
    """Rows of the published split."""
    where: dict[str, str] = Field(default_factory=dict)
    """Only rows with these cells, such as {split: test}."""
    note: Text | None = None
    """What one should know before comparing numbers."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.file is None and not self.local and self.hub is None:
            raise ValueError("says not where the rows are; give file, local or hub")
        if self.file is not None and (self.local or self.hub):
            raise ValueError("file stands alone; leave local and hub out")
        return self


class Part(Closed):
    """One task in one direction on one set of rows."""

    task: Annotated[str, AfterValidator(_check_task)]
    """naming | reaction | captioning, or the path of a task's YAML file."""
    direction: Way
    data: Text
    """One of the suite's data."""
    source: Template | None = None
    """Columns that make x, such as "{reactants}.{reagents}". Without it rows are a corpus of unlabelled x: read by the
    usual column names, cleaned, each once."""
    target: Template | None = None
    """Columns that make the label; none for unlabelled data."""
    prompt: Text | None = None
    """The request in words, with {source} and any column; default: the task's."""
    unmap: bool = False
    """Take atom maps out: they tell which atoms of x are in y."""
    round_trip: bool = False
    """Ask the model for the way back from each output as well (greedy)."""
    size: Count | None = None
    """At most so many items, the same ones whatever the order of the rows; default: the suite's."""
    decoding: Decoding = Field(default_factory=Decoding)
    metrics: Names
    """The headline: what the table shows, in this order."""

    @property
    def resolved_task(self) -> Task:
        """The task itself."""
        return load_task(self.task)

    @property
    def columns(self) -> list[str]:
        """Every column that the part reads."""
        templates = (self.source, self.target, self.prompt)
        named = [column for template in templates if template for column in columns_of(template)]
        return [column for column in dict.fromkeys(named) if column != "source"]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.prompt is not None and "{source}" not in self.prompt:
            raise ValueError(f"prompt: must contain {{source}}, got {self.prompt!r}")
        if self.source is None and (self.target or self.prompt or self.unmap):
            raise ValueError("source: missing; target, prompt and unmap need it")
        if self.target is None and not self.round_trip:
            raise ValueError("target: missing; without labels only a round trip can be measured: set round_trip: true")
        return self


class TextPart(Closed):
    """Log-likelihood of texts: JSON lines with a `text` each."""

    data: Text
    text: Text = "text"
    """The field."""
    max_tokens: Count = 1024
    """Of a longer text the first so many tokens count."""
    metrics: Names = ("nats_per_token", "nats_per_byte")


class QuestionPart(Closed):
    """Multiple choice: JSON lines with `question`, `choices` (a list) and `answer` (the right one or its place)."""

    data: Text
    question: Text = "question"
    choices: Text = "choices"
    answer: Text = "answer"
    metrics: Names = ("accuracy", "accuracy_per_byte")


def _not_empty(value: Any) -> Any:
    if value == {}:
        raise ValueError("is empty; leave it out or give at least one")
    return value


class Suite(Closed):
    """A set of measurements that belong together."""

    name: Name
    description: Text
    data: Annotated[dict[str, DataSet], BeforeValidator(_not_empty)]
    parts: dict[Name, Part] = Field(default_factory=dict)
    texts: dict[Name, TextPart] = Field(default_factory=dict)
    questions: dict[Name, QuestionPart] = Field(default_factory=dict)
    smiles: Literal["as_given", "canonical"] = "as_given"
    """SMILES as published, but for doubled backslashes, or canonical as RDKit writes them (fragments sorted). A model
    should get the form that it was trained on; published numbers are for as_given."""
    size: Count | None = None
    """At most so many items in each part; default: all."""
    model: ModelConfig | None = None
    """Set by --model; its other keys by --set model.dtype=..., model.prompt_style=..."""
    backend: Literal["transformers", "vllm"] = "transformers"
    """What generates."""
    max_batch_tokens: Count = 16_384
    """Prompt and answer tokens in one batch; less needs less memory."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Level of the intervals."""
    resamples: Count = 1_000
    """Resamples of the bootstrap."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of the bootstrap."""
    referee: bool = True
    """Let OPSIN read names, where Java and py2opsin are present."""
    fcd: bool = False
    """Measure the Fréchet ChemNet distance; it takes a while."""

    @property
    def guarded(self) -> list[tuple[str, TextPart | QuestionPart]]:
        """Texts and questions with their names."""
        return [*self.texts.items(), *self.questions.items()]

    @property
    def part_names(self) -> list[str]:
        """Parts, texts and questions: each has a folder of results."""
        return [*self.parts, *self.texts, *self.questions]

    def only(self, names: Iterable[str]) -> Self:
        """The suite with these parts alone, or with all if none is named; ConfigError for a name that it has not."""
        wanted = set(names)
        if not wanted:
            return self
        if unknown := sorted(wanted.difference(self.part_names)):
            raise ConfigError(f"--part {unknown[0]}: {self.name} has none; {did_you_mean(unknown[0], self.part_names)}")
        groups = {key: getattr(self, key) for key in ("parts", "texts", "questions")}
        kept = {key: {n: p for n, p in group.items() if n in wanted} for key, group in groups.items()}
        return self.model_copy(update=kept)

    @model_validator(mode="after")
    def _check(self) -> Self:
        every: list[tuple[str, Part | TextPart | QuestionPart]] = [*self.parts.items(), *self.guarded]
        if not every:
            raise ValueError("measures nothing; give parts, texts or questions")
        names = [name for name, _ in every]
        if repeated := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{repeated}: is the name of two parts; each has its own folder")
        for name, part in every:
            if part.data not in self.data:
                raise ValueError(f"{name}.data: no data {part.data!r}; {did_you_mean(part.data, self.data)}")
        if self.backend == "vllm" and (self.texts or self.questions):
            raise ValueError("backend: vllm does not score texts and questions here; set backend: transformers")
        if self.backend == "vllm" and any(part.decoding.method == "beam" for part in self.parts.values()):
            raise ValueError("backend: vllm has no beam search here; set backend: transformers or another method")
        return self


# ---- reading --------------------------------------------------------------------------------------------------------


def suite_names() -> list[str]:
    """The suites that come with the repository, sorted."""
    return sorted(path.name.removesuffix(SUFFIX) for path in _folder().glob("*" + SUFFIX))


def is_suite(given: str | Path) -> bool:
    """Whether `given` names a suite: one of ours, or a YAML file with the keys of a suite and not of a config."""
    if str(given) in suite_names():
        return True
    path = Path(given)
    if path.suffix.lower() not in (".yaml", ".yml"):
        return "/" not in str(given) and not path.exists()
    if not path.is_file():
        return False
    raw, _ = read_mapping(path)
    return any(key in raw for key in ("parts", "texts", "questions"))


def load_suite(given: str | Path, overrides: Iterable[str] = ()) -> Suite:
    """The suite of a name or in a file, with `a.b=v` overrides; ConfigError with every problem."""
    path = _find(str(given))
    raw, problems = read_mapping(path)
    for override in overrides:
        problems += apply_override(raw, override)
    return _build(raw, problems, str(given))


def _folder() -> Path:
    """`eval/` of the repository, or its copy in an installed package."""
    package = Path(str(files("rtrl_chem")))
    bundled = package / "suites"
    return bundled if bundled.is_dir() else package.parent / "eval"


def _find(given: str) -> Path:
    own = _folder() / (given + SUFFIX)
    if given in suite_names():
        return own
    path = Path(given)
    if path.suffix.lower() in (".yaml", ".yml") or "/" in given or path.is_file():
        return path
    raise ConfigError(f"no suite {given!r}: {did_you_mean(given, suite_names())} (or give the path of a YAML file)")


def _build(raw: Mapping[Any, Any], problems: list[str], where: str) -> Suite:
    suite = None
    try:
        suite = Suite.model_validate(raw)
    except ValidationError as error:
        problems = problems + problems_of(error, _allowed_keys)
    if problems or suite is None:
        raise ConfigError(problems, where)
    return suite


_LEVELS: dict[str, type[Closed]] = {"parts": Part, "texts": TextPart, "questions": QuestionPart, "data": DataSet}
_INSIDE: dict[str, type[Closed]] = {"hub": Hub, "decoding": Decoding, "model": ModelConfig}


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys that may stand under a location, for the nearest to a misspelt one."""
    path = [str(part) for part in location]
    level: type[Closed] | None = Suite if not path else _INSIDE.get(path[-1])
    if level is None and len(path) == 2:
        level = _LEVELS.get(path[0])
    return list(level.model_fields) if level else []

"""What a task is: two domains and the prompts that lead from one to the other; and how a user writes one in YAML.

A task's YAML file (every key; a complete one is `configs/tasks/example_task.yaml`):

    name: formula                     # required; what tables and logs call the task
    description: SMILES <-> formula   # one line, optional
    left:                             # required; the forward direction goes from left to right
      name: molecule                  # required; the noun a prompt uses ("the SMILES of the molecule")
      kind: molecule                  # required; molecule | molecules (a set, joined by dots) | text
      tag: SMILES                     # required; <SMILES> in the prompt style `compact`; the two tags must differ
    right:
      name: molecular formula
      kind: text
      tag: MOLFORMULA
      prose: false                    # true for free text of several sentences: answers may span lines and are
                                      # measured by text metrics instead of exact match
    forward_prompt: ...{source}...    # required; {source} is where x goes. Do not ask for a layout of the answer here:
    reverse_prompt: ...{source}...    # required; that is the prompt style's part (`rtrl_chem.tasks.prompts`)
    equality: isomeric                # how two structures are compared, see EQUALITIES; default isomeric
    answer_template: "{answer}"       # optional; what the model writes around its answer, e.g. "Result: {answer}"
    answer_pattern: "Result: (.+)"    # optional; regex with one group that reads the answer back (its first match; no
                                      # match is an empty answer). Without it: first non-empty line; prose: everything
    example: {left: CCO, right: C2H6O}  # required with answer_pattern or answer_template, which are tried on it

Nothing here imports RDKit or torch, so a config can be checked in a fraction of a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from rtrl_chem import strict_yaml
from rtrl_chem.errors import ConfigError, did_you_mean, problems_of

__all__ = ["EQUALITIES", "Direction", "Domain", "Example", "Task", "fill", "read_answer_text", "read_task_file"]

# The policies of `rtrl_chem.chem.molecule` by name. Importing them would load RDKit; a unit test keeps the two equal.
Equality = Literal["isomeric", "stereo_free", "fragment_set", "largest_fragment", "inchi", "inchi_set"]
EQUALITIES: tuple[str, ...] = get_args(Equality)

_PLACEHOLDER = re.compile(r"\{([A-Za-z_]+)\}")


class Direction(str, Enum):
    """Which way a task is run: forward is left -> right."""

    FORWARD = "forward"
    REVERSE = "reverse"

    @property
    def opposite(self) -> Direction:
        """The direction whose model scores this one's outputs."""
        return Direction.REVERSE if self is Direction.FORWARD else Direction.FORWARD

    def __str__(self) -> str:
        # Python 3.10 and 3.11+ disagree about a mixed-in enum in an f-string; folder names depend on it.
        return self.value


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put `values` in place of `{key}`, in one pass: braces inside a value, or around anything else, stay as they are.

    >>> fill("Name {source} as JSON {}", {"source": "{answer}"})
    'Name {answer} as JSON {}'
    """
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)


def check_placeholders(text: str, required: Iterable[str], allowed: Iterable[str] = ()) -> str:
    """`text` itself; ValueError if a required placeholder is missing or an unknown one, mostly a slip, is there."""
    found = set(_PLACEHOLDER.findall(text))
    known = [*required, *allowed]
    if unknown := sorted(found.difference(known)):
        raise ValueError(f"unknown placeholder {{{unknown[0]}}}; {did_you_mean(unknown[0], known)}")
    if missing := [name for name in required if name not in found]:
        raise ValueError(f"must contain {{{missing[0]}}}, got {text!r}")
    return text


def _check_line(text: str) -> str:
    if not text.strip() or "\n" in text:
        raise ValueError(f"must be one line of text, got {text!r}")
    return text


def _check_tag(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", text):
        raise ValueError(f"must be letters and digits without brackets, such as SMILES, got {text!r}")
    if text.lower() == "think":
        raise ValueError("'think' marks reasoning, which is cut away; choose another tag")
    return text


def _check_pattern(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"must have exactly one group (...), the answer; {text!r} has {groups}")
    return text


Line = Annotated[str, AfterValidator(_check_line)]
Tag = Annotated[str, AfterValidator(_check_tag)]
Pattern = Annotated[str, AfterValidator(_check_pattern)]
Prompt = Annotated[str, AfterValidator(lambda text: check_placeholders(text, ["source"]))]
AnswerTemplate = Annotated[str, AfterValidator(lambda text: check_placeholders(text, ["answer"]))]

_CLOSED = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_CLOSED)
class Domain:
    """One side of a task. `kind` says whether chemistry applies to it, `prose` that a text is more than one phrase."""

    name: Line
    kind: Literal["molecule", "molecules", "text"]
    tag: Tag
    prose: bool = False

    @property
    def is_structure(self) -> bool:
        """Whether items are SMILES: one molecule, or several joined by dots."""
        return self.kind != "text"

    @property
    def noun(self) -> str:
        """What a prompt asks for: 'SMILES of the product', 'IUPAC name'."""
        return f"SMILES of the {self.name}" if self.is_structure else self.name

    @property
    def is_name(self) -> bool:
        """Whether items are IUPAC names, which OPSIN can read: told by the tag, in a task of one's own as well."""
        return not self.is_structure and self.tag.upper() == "IUPAC"

    @property
    def metric_family(self) -> Literal["structure", "phrase", "prose"]:
        """How outputs are measured: exact match by the task's equality, by string, or by text metrics."""
        if self.is_structure:
            return "structure"
        return "prose" if self.prose else "phrase"


@dataclass(frozen=True, config=_CLOSED)
class Example:
    """A left item and the right item that belongs to it."""

    left: Line
    right: str


@dataclass(frozen=True, config=_CLOSED)
class Task:
    """A pair of domains and the prompts between them. The fields are the keys of the YAML file, see the module."""

    name: Line
    left: Domain
    right: Domain
    forward_prompt: Prompt
    reverse_prompt: Prompt
    description: str = ""
    equality: Equality = "isomeric"
    answer_template: AnswerTemplate = "{answer}"
    answer_pattern: Pattern | None = None
    example: Example | None = None

    def source(self, direction: Direction | str) -> Domain:
        """The domain of x."""
        return self.left if Direction(direction) is Direction.FORWARD else self.right

    def output(self, direction: Direction | str) -> Domain:
        """The domain of y."""
        return self.right if Direction(direction) is Direction.FORWARD else self.left

    def instruction(self, direction: Direction | str, source: str) -> str:
        """The request in words, before any prompt style is put around it."""
        prompt = self.forward_prompt if Direction(direction) is Direction.FORWARD else self.reverse_prompt
        return fill(prompt, {"source": source})


def read_answer_text(text: str, pattern: str | None, prose: bool) -> str:
    """The answer in what the model wrote after its reasoning and between its tags: what the pattern's group holds
    ("" if nothing matches); without a pattern all of a prose text, else the first line that is not empty."""
    if pattern is not None:
        match = re.search(pattern, text)
        return (match[1] or "").strip() if match else ""
    if prose:
        return text.strip()
    return next((line.strip() for line in text.split("\n") if line.strip()), "")


def read_task_file(path: str | Path) -> Task:
    """The task in a YAML file; ConfigError, naming every problem of the file at once, if it is not one."""
    where = f"task file {path}"
    try:
        raw, repeats = strict_yaml.parse(Path(path).read_text(encoding="utf8"))
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror}); give the path of a YAML file", where) from None
    except (strict_yaml.YamlError, UnicodeDecodeError) as error:
        raise ConfigError(f"is not YAML: {error}", where) from None
    if repeats:
        raise ConfigError(repeats, where)
    if not isinstance(raw, dict):
        raise ConfigError(f"must hold keys and values (name, left, right, ...), holds {type(raw).__name__}", where)
    return task_from_mapping(raw, where)


def task_from_mapping(raw: Mapping[Any, Any], where: str = "task") -> Task:
    """The task with these keys; ConfigError with all problems, of single keys and between keys."""
    raw = {str(key): value for key, value in raw.items()}
    problems = []
    try:
        task = TypeAdapter(Task).validate_python(raw)
    except ValidationError as error:
        problems = problems_of(error, _allowed_keys)
    problems += _problems_between(raw)
    if problems:
        raise ConfigError(problems, where)
    return task


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    level = {"left": Domain, "right": Domain, "example": Example}.get(str(location[0])) if location else Task
    return [field.name for field in fields(level)] if level else []


def _problems_between(raw: Mapping[str, Any]) -> list[str]:
    """What is wrong between keys that are each right by themselves. Works on the raw mapping, so that it can report
    beside the problems of single keys; whatever is malformed is skipped here."""
    left, right = (raw[side] if isinstance(raw.get(side), dict) else {} for side in ("left", "right"))
    problems = []
    for key in ("name", "tag"):
        if left.get(key) is not None and left.get(key) == right.get(key):
            problems.append(f"right.{key}: {right[key]!r} is left.{key} too; the two domains must differ")
    for side, domain in (("left", left), ("right", right)):
        if domain.get("prose") is True and domain.get("kind") in ("molecule", "molecules"):
            problems.append(f"{side}.prose: a structure is never prose; set kind: text or leave prose out")
    return problems + _problems_of_reading(raw, left, right)


def _problems_of_reading(raw: Mapping[str, Any], left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    """Whether what `answer_template` writes is read back, tried on the example in both directions."""
    template, pattern = raw.get("answer_template", "{answer}"), raw.get("answer_pattern")
    if template == "{answer}" and pattern is None:
        return []
    if raw.get("example") is None:
        return ["example: missing; answer_template and answer_pattern are checked on it, give {left: ..., right: ...}"]
    if not (
        _is_valid(AnswerTemplate, template) and _is_valid(Pattern | None, pattern) and isinstance(raw["example"], dict)
    ):
        return []
    problems = []
    for side, domain in (("left", left), ("right", right)):
        if isinstance(answer := raw["example"].get(side), str):
            written = fill(template, {"answer": answer})
            read = read_answer_text(written, pattern, domain.get("prose") is True)
            if read != answer.strip():
                problems.append(f"answer_pattern: reads {read!r} in {written!r}, must read example.{side}, {answer!r}")
    return problems


def _is_valid(kind: Any, value: Any) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True

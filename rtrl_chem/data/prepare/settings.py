"""What `rtrl-chem prepare` does to a corpus: closed models, read from YAML and `--set a.b=v`; no torch.

domain: molecule
filter: {max_heavy_atoms: 50, elements: [C, N, O, S, F, Cl, Br]}
dedup: inchikey
split: {method: scaffold, shares: {train: 0.9, validation: 0.1}}
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator
from typing_extensions import Self

from rtrl_chem.config import Closed, Count, Text, apply_override, read_mapping
from rtrl_chem.errors import ConfigError, problems_of

__all__ = ["SPLITS", "Filter", "Repair", "Settings", "Split", "Standardize", "load_settings"]

SPLITS = ("train", "validation", "test")


def _symbols() -> set[str]:
    from rdkit.Chem import GetPeriodicTable

    return {GetPeriodicTable().GetElementSymbol(number) for number in range(1, 119)}


def _check_element(symbol: str) -> str:
    if symbol not in _symbols():
        raise ValueError(f"got {symbol!r}, must be an element's symbol such as C or Cl")
    return symbol


def _check_shares(shares: dict[str, float]) -> dict[str, float]:
    if unknown := [name for name in shares if name not in SPLITS]:
        raise ValueError(f"got {unknown[0]!r}, must be shares of {', '.join(SPLITS)}")
    if not shares or min(shares.values()) <= 0 or not math.isclose(math.fsum(shares.values()), 1, abs_tol=1e-9):
        raise ValueError(f"got {shares}, must be positive and sum to 1")
    return shares


Element = Annotated[str, AfterValidator(_check_element)]
Weight = Annotated[float, Field(gt=0)]


class Repair(Closed):
    """What is mended in a cell before it is read."""

    backslashes: bool = True
    """Doubled backslashes, as in ChEBI-20, become single ones."""
    names: bool = True
    """`SMILES name` loses its name, where that is one word or set apart by a tab. (A .smi file has names anyway.)"""
    atom_maps: bool = True
    """Atom maps are taken out."""


class Standardize(Closed):
    """Changes of the molecule itself, by RDKit's MolStandardize; all off."""

    largest_fragment: bool = False
    """Salts and solvents go, the largest fragment stays."""
    uncharge: bool = False
    """Charges are neutralised by adding and removing hydrogens."""
    tautomer: bool = False
    """The canonical tautomer; slow (milliseconds a molecule)."""


class Filter(Closed):
    """Which molecules to keep. Of a reaction, product and reactants must both pass."""

    min_heavy_atoms: Count | None = None
    max_heavy_atoms: Count | None = None
    elements: Annotated[tuple[Element, ...], Field(strict=False)] | None = None
    """No others, such as [C, N, O]; hydrogen is always allowed."""
    min_weight: Weight | None = None
    """Average molecular weight in Da."""
    max_weight: Weight | None = None
    tokenizer: Text | None = None
    """Of the model to be trained: Hub id, folder or bundled:NAME."""
    max_tokens: Count | None = None
    """Longest SMILES in tokens of that tokenizer, without special ones."""
    wildcards: bool = False
    """Keep `*` atoms, and the queries of SMARTS and SDF files."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.max_tokens is None) != (self.tokenizer is None):
            raise ValueError("max_tokens and tokenizer need each other; give both or neither")
        for what in ("heavy_atoms", "weight"):
            least, most = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if least is not None and most is not None and least > most:
                raise ValueError(f"min_{what}: got {least:g}, must not be above max_{what}, {most:g}")
        if self.elements == ():
            raise ValueError("elements: is empty; give at least one or leave it out")
        return self


class Split(Closed):
    """How the corpus is parted; a function of the molecule alone (of a reaction: its product)."""

    method: Literal["none", "hash", "scaffold"] = "none"
    """none: all is `train`; hash: by a hash of the SMILES; scaffold: molecules of one Murcko scaffold stay together."""
    shares: Annotated[dict[str, float], AfterValidator(_check_shares)] = Field(
        default_factory=lambda: {"train": 0.9, "validation": 0.05, "test": 0.05}
    )
    salt: str = ""
    """Another text gives another split."""


class Settings(Closed):
    """Everything that decides what a prepared corpus holds."""

    domain: Literal["auto", "molecule", "reaction"] = "auto"
    """auto: told by the first rows of the first input."""
    field: Text | None = None
    """Column of the molecules (or of whole reactions); default: the usual names."""
    format: Literal["smi", "txt", "csv", "tsv", "jsonl", "parquet", "sdf", "rxn", "rdf"] | None = None
    """Format of the files; default: by their ending."""
    hub_split: Text = "train"
    """Split of a Hub data set."""
    hub_revision: Text | None = None
    """Branch, tag or commit of a Hub data set."""
    repair: Repair = Field(default_factory=Repair)
    standardize: Standardize = Field(default_factory=Standardize)
    filter: Filter = Field(default_factory=Filter)
    canonicalize: bool = True
    """Write canonical SMILES; false keeps the spelling as given."""
    dedup: Literal["canonical", "inchikey", "stereo_free", "none"] = "canonical"
    """What makes two rows the same: canonical SMILES; InChIKey (tautomers by mobile hydrogens are one); canonical
    SMILES without stereo. Of reactions: reactants and product, whatever the reagents."""
    split: Split = Field(default_factory=Split)
    benchmarks: Text = "hub"
    """Remove what is in the benchmark suites: `hub` takes the bundled ones and, where it can be reached, the Hub's; a
    folder of local copies (see eval/README.md); `bundled` asks nobody; `none` removes nothing."""
    rows_per_shard: Count = 500_000

    @model_validator(mode="after")
    def _check(self) -> Self:
        if problem := self.problem_with(self.domain):
            raise ValueError(problem)
        if (changes := self.changes) and not self.canonicalize:
            raise ValueError(f"canonicalize: must be true with standardize.{changes[0]}, which writes new SMILES")
        return self

    @property
    def changes(self) -> list[str]:
        """The steps of standardize that are on."""
        return [name for name, wanted in self.standardize if wanted]

    def problem_with(self, domain: str) -> str | None:
        """What cannot be asked of this domain, or None."""
        if domain == "reaction" and self.changes:
            return f"standardize.{self.changes[0]}: is for molecules, not for reactions; leave it out"
        return None


def load_settings(path: Path | None, overrides: Iterable[str] = ()) -> Settings:
    """The settings in a YAML file, or the defaults, with `a.b=v` overrides; ConfigError with every problem."""
    raw: dict[Any, Any] = {}
    problems: list[str] = []
    if path is not None:
        raw, problems = read_mapping(path)
    for override in overrides:
        problems += apply_override(raw, override)
    settings = None
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        problems += problems_of(error, _allowed_keys)
    if problems or settings is None:
        raise ConfigError(problems, str(path) if path is not None else "prepare")
    return settings


_LEVELS: dict[tuple[str, ...], type[Closed]] = {
    (): Settings,
    ("repair",): Repair,
    ("standardize",): Standardize,
    ("filter",): Filter,
    ("split",): Split,
}


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    level = _LEVELS.get(tuple(str(part) for part in location))
    return list(level.model_fields) if level else []

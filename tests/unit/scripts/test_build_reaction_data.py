"""The bundled reaction corpus, and the script that has written it."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from functools import lru_cache
from itertools import permutations
from pathlib import Path

import pytest
from build_reaction_data import RECIPE, SPLITS, split_of, write_splits
from rdkit import Chem

from rtrl_chem.chem.reaction_templates import TEMPLATES, ReactionTemplate
from rtrl_chem.data.make_pairs.reactions import CompiledTemplate, generate

ASSETS = Path(__file__).parents[3] / "rtrl_chem" / "assets" / "reaction"
BY_NAME = {t.name: t for t in TEMPLATES}
LABELLED_SPLITS = [s for s in SPLITS if s != "unlabelled"]


def react(template: ReactionTemplate, reactants: tuple[str, ...]) -> str | None:
    """The product under all the template's rules, or None."""
    compiled = CompiledTemplate(template)
    blocks = reactants[:-1] if template.reagent else reactants
    if not all(compiled.accepts(Chem.MolFromSmiles(s), slot) for slot, s in enumerate(blocks)):
        return None
    return compiled.product(reactants)


@lru_cache
def rows(split: str) -> list[dict[str, str]]:
    with gzip.open(ASSETS / f"{split}.tsv.gz", "rt", encoding="utf8") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def test_the_same_reactions_give_the_same_bytes(tmp_path: Path) -> None:
    reactions, _ = generate(["CC(=O)O", "CCCO", "CCN", "Brc1ccccc1", "C#CCO", "CC(=O)c1ccccc1", "Oc1ccccc1"])
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_splits(reactions, tmp_path / folder)
    for split in SPLITS:
        name = f"{split}.tsv.gz"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_no_product_twice_or_in_two_splits() -> None:
    counts = Counter(row["product"] for split in SPLITS for row in rows(split))
    assert counts and max(counts.values()) == 1


@pytest.mark.parametrize("split", list(SPLITS))
def test_bundled_products_are_canonical_small_and_where_their_hash_says(split: str) -> None:
    for product in (row["product"] for row in rows(split)[::10]):
        mol = Chem.MolFromSmiles(product)
        assert Chem.MolToSmiles(mol) == product
        assert mol.GetNumHeavyAtoms() <= RECIPE.max_product_atoms
        assert split_of(product) == split


def test_bundled_reactant_sets_have_one_product() -> None:
    counts = Counter(row["reactants"] for split in LABELLED_SPLITS for row in rows(split))
    assert max(counts.values()) == 1


@pytest.mark.parametrize("name", list(BY_NAME))
def test_bundled_reactions_follow_their_template(name: str) -> None:
    chosen = [row for row in rows("validation") if row["template"] == name][:5]
    assert chosen
    for row in chosen:
        fragments = row["reactants"].split(".")
        assert fragments == sorted(map(Chem.CanonSmiles, fragments))
        assert row["product"] in {react(BY_NAME[name], order) for order in permutations(fragments)}


def test_manifest_agrees_with_the_files() -> None:
    manifest = json.loads((ASSETS / "manifest.json").read_text())
    assert manifest["synthetic"] is True
    assert manifest["splits"] == {split: len(rows(split)) for split in SPLITS}
    assert set(manifest["templates"]) == set(BY_NAME)
    assert sum(manifest["templates"].values()) == manifest["reactions"] == sum(manifest["splits"].values())


def test_unlabelled_holds_products_only() -> None:
    assert set(rows("unlabelled")[0]) == {"product"}

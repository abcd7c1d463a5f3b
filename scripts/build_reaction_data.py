"""Build the bundled, synthetic reactants/product data set: reaction templates applied to real building blocks.

The building blocks are molecules of the PyPI package `chemicals` (MIT); the reactions are those of
`reaction_templates.py`. Nobody has run these reactions: the set is for trying out round-trip training, not a
source of chemistry. A product appears once, with one reactant set, and in exactly one split, by a hash of its SMILES.

    pip install chemicals rdkit
    python scripts/build_reaction_data.py --out rtrl_chem/assets/reaction
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from math import prod
from pathlib import Path

from build_naming_data import read_chemicals, write_lines
from rdkit import Chem, rdBase
from rdkit.Chem import rdChemReactions
from reaction_templates import GROUPS, TEMPLATES, ReactionTemplate

ELEMENTS = {"B", "C", "N", "O", "F", "S", "Cl", "Br", "I"}
MAX_BLOCK_ATOMS, MIN_PRODUCT_ATOMS, MAX_PRODUCT_ATOMS = 12, 4, 24
# Reactions kept per template, and combinations tried for each of them (most are accepted).
CAP, TRIES_PER_REACTION = 1300, 10
SEED = 0
# Shares in per mille of the hash range. RL needs only products, so most of them go without a label.
SPLITS = {"test": 60, "validation": 40, "labelled": 300, "unlabelled": 600}
# What no chemist keeps in a bottle: peroxides, O-, N-, S- and alkynyl halides, diazo and nitroso compounds.
UNSTABLE = ("[OX2][OX2]", "[#7,OX2,SX2][F,Cl,Br,I]", "C#C[F,Cl,Br,I]", "[C,N]=[N+]=[N-;!$(N=[N+]=N[#6])]", "[NX2]=O")
UNSTABLE_QUERIES = tuple(map(Chem.MolFromSmarts, UNSTABLE))


@dataclass(frozen=True)
class Reaction:
    """One reaction; `reactants` are canonical fragments, sorted and joined by a dot."""

    reactants: str
    product: str
    template: str


class CompiledTemplate:
    """A template with its RDKit reaction and queries (one per reactant), to choose blocks and make products."""

    def __init__(self, template: ReactionTemplate) -> None:
        self.template = template
        self.reaction = rdChemReactions.ReactionFromSmarts(template.smarts)
        self.reaction.Initialize()
        self.queries = list(self.reaction.GetReactants())
        self.forbidden = [Chem.MolFromSmarts(GROUPS[name]) for name in template.forbidden]

    def accepts(self, mol: Chem.Mol, slot: int) -> bool:
        """Whether the block holds the slot's reacting group exactly once, no other slot's, and no clashing group."""
        matches = mol.GetSubstructMatches(self.queries[slot], maxMatches=3)
        if len(matches) != 1 or any(mol.HasSubstructMatch(q) for i, q in enumerate(self.queries) if i != slot):
            return False
        reacting = set(matches[0])
        return all(reacting.intersection(m) for query in self.forbidden for m in mol.GetSubstructMatches(query))

    def product(self, reactants: tuple[str, ...]) -> str | None:
        """The canonical product, or None if there is none, more than one, or one that does not sanitise."""
        outcomes = {_canonical(p) for (p,) in self.reaction.RunReactants([_read(s) for s in reactants])}
        return outcomes.pop() if len(outcomes) == 1 else None


@lru_cache(maxsize=100_000)
def _read(smiles: str) -> Chem.Mol:
    return Chem.MolFromSmiles(smiles)


def _canonical(product: Chem.Mol) -> str | None:
    # Through SMILES and back: the product's atoms still carry properties of the reactants.
    mol = Chem.MolFromSmiles(Chem.MolToSmiles(product))
    return None if mol is None else Chem.MolToSmiles(mol)


def split_of(product: str) -> str:
    """The split of a canonical product SMILES: a function of the string alone."""
    point = int.from_bytes(hashlib.sha256(b"rtrl-chem/reaction/" + product.encode()).digest()[:8], "big") % 1000
    for name, share in SPLITS.items():
        if point < share:
            return name
        point -= share
    raise AssertionError("the shares add up to 1000")


def admit_block(smiles: str) -> str | None:
    """Canonical SMILES of a building block: one neutral organic fragment of at most `MAX_BLOCK_ATOMS` heavy atoms."""
    mol = Chem.MolFromSmiles(smiles)
    if mol is None or not 2 <= mol.GetNumHeavyAtoms() <= MAX_BLOCK_ATOMS or len(Chem.GetMolFrags(mol)) != 1:
        return None
    atoms = list(mol.GetAtoms())
    if any(a.GetSymbol() not in ELEMENTS or a.GetIsotope() or a.GetNumRadicalElectrons() for a in atoms):
        return None
    if not any(a.GetSymbol() == "C" for a in atoms) or any(mol.HasSubstructMatch(q) for q in UNSTABLE_QUERIES):
        return None
    return None if _carries_charge(mol) else Chem.MolToSmiles(mol)


def _carries_charge(mol: Chem.Mol) -> bool:
    """True for ions and zwitterions; nitro groups, azides and N-oxides have their opposite charges side by side."""
    for atom in mol.GetAtoms():
        charge = atom.GetFormalCharge()
        if charge and not any(n.GetFormalCharge() * charge < 0 for n in atom.GetNeighbors()):
            return True
    return Chem.GetFormalCharge(mol) != 0


def substrates(template: ReactionTemplate, blocks: list[str]) -> list[list[str]]:
    """For each reactant slot of the template, the molecules that may fill it."""
    compiled = CompiledTemplate(template)
    if template.feedstock:
        parent = next(t for t in TEMPLATES if t.name == template.feedstock)
        blocks = sorted({*blocks, *(p for _, p in combinations(parent, substrates(parent, blocks)))})
    slots = range(len(compiled.queries) - bool(template.reagent))
    pools = [[s for s in blocks if compiled.accepts(_read(s), slot)] for slot in slots]
    return [*pools, [template.reagent]] if template.reagent else pools


def combinations(template: ReactionTemplate, pools: list[list[str]]) -> Iterator[tuple[tuple[str, ...], str]]:
    """(reactants, product) for random combinations of the pools, none twice; the order depends on the seed alone."""
    compiled = CompiledTemplate(template)
    total = prod(map(len, pools))
    chooser = random.Random(f"{SEED}/{template.name}")
    for index in chooser.sample(range(total), min(total, CAP * TRIES_PER_REACTION)):
        chosen = []
        for pool in pools:
            index, place = divmod(index, len(pool))
            chosen.append(pool[place])
        product = compiled.product(tuple(chosen))
        if product is not None:
            yield tuple(chosen), product


def generate(blocks: list[str]) -> tuple[list[Reaction], dict[str, list[int]]]:
    """The reactions, at most `CAP` per template, and the size of each template's reactant pools."""
    reactions: dict[str, Reaction] = {}
    pools = {t.name: substrates(t, blocks) for t in TEMPLATES}
    # A product goes to the first template that makes it, so those with the fewest possible reactions choose first.
    for template in sorted(TEMPLATES, key=lambda t: prod(map(len, pools[t.name]))):
        kept = 0
        for reactants, product in combinations(template, pools[template.name]):
            if product in reactions or not MIN_PRODUCT_ATOMS <= _read(product).GetNumHeavyAtoms() <= MAX_PRODUCT_ATOMS:
                continue
            joined = ".".join(sorted(Chem.CanonSmiles(s) for s in reactants))
            reactions[product] = Reaction(joined, product, template.name)
            kept += 1
            if kept == CAP:
                break
    return _unambiguous(list(reactions.values())), {name: list(map(len, slots)) for name, slots in pools.items()}


def _unambiguous(reactions: list[Reaction]) -> list[Reaction]:
    """Without reactant sets that give different products by different templates: no model could tell which is meant."""
    seen = Counter(r.reactants for r in reactions)
    return sorted((r for r in reactions if seen[r.reactants] == 1), key=lambda r: r.product)


def write_splits(reactions: list[Reaction], out: Path) -> dict[str, int]:
    """Write one gzipped table per split; returns their numbers of rows."""
    counts = {}
    for split in SPLITS:
        chosen = [r for r in reactions if split_of(r.product) == split]
        counts[split] = len(chosen)
        if split == "unlabelled":
            write_lines(out / f"{split}.tsv.gz", [[r.product] for r in chosen], ["product"])
        else:
            rows = [[r.reactants, r.product, r.template] for r in chosen]
            write_lines(out / f"{split}.tsv.gz", rows, ["reactants", "product", "template"])
    return counts


def main() -> None:
    """Run the build and write the four splits and `manifest.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    raw = read_chemicals()
    with rdBase.BlockLogs():
        blocks = sorted({s for s in map(admit_block, raw) if s})
        reactions, pool_sizes = generate(blocks)
    args.out.mkdir(parents=True, exist_ok=True)
    per_template = Counter(r.template for r in reactions)
    manifest = {
        "synthetic": True,
        "rows_in": len(raw),
        "building_blocks": len(blocks),
        "reactions": len(reactions),
        "splits": write_splits(reactions, args.out),
        "templates": {t.name: per_template[t.name] for t in TEMPLATES},
        "pools": pool_sizes,
        "cap_per_template": CAP,
        "seed": SEED,
        "versions": {p: version(p) for p in ("chemicals", "rdkit")},
        "command": "python scripts/build_reaction_data.py --out rtrl_chem/assets/reaction",
    }
    (args.out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    print(json.dumps(manifest, indent=2))


if __name__ == "__main__":
    main()

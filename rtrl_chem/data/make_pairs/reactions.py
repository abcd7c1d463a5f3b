"""Synthetic reactions: the documented templates of `rtrl_chem.chem.reaction_templates` applied to building blocks.

Nobody has run these reactions: they are for trying out round-trip training, not a source of chemistry. A product
appears once, with one reactant set, and which reactions are made depends on the building blocks and the seed alone.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from math import prod

from rdkit import Chem
from rdkit.Chem import rdChemReactions

from rtrl_chem.chem.charges import has_ion
from rtrl_chem.chem.reaction_templates import COMPETING, TEMPLATES, ReactionTemplate

__all__ = ["CompiledTemplate", "Reaction", "Recipe", "admit_block", "generate"]

ELEMENTS = {"B", "C", "N", "O", "F", "S", "Cl", "Br", "I"}
# What no chemist keeps in a bottle: peroxides, O-, N-, S- and alkynyl halides, diazo and nitroso compounds.
UNSTABLE = ("[OX2][OX2]", "[#7,OX2,SX2][F,Cl,Br,I]", "C#C[F,Cl,Br,I]", "[C,N]=[N+]=[N-;!$(N=[N+]=N[#6])]", "[NX2]=O")
UNSTABLE_QUERIES = tuple(map(Chem.MolFromSmarts, UNSTABLE))


@dataclass(frozen=True)
class Reaction:
    """One reaction; `reactants` are canonical fragments, sorted and joined by a dot."""

    reactants: str
    product: str
    template: str


@dataclass(frozen=True)
class Recipe:
    """How many reactions are made, and how large they may be (in heavy atoms).

    `cap` reactions are kept per template, and `tries` combinations of building blocks tried for each (most are
    accepted).
    """

    max_block_atoms: int = 12
    min_product_atoms: int = 4
    max_product_atoms: int = 24
    cap: int = 1300
    tries: int = 10
    seed: int = 0


class CompiledTemplate:
    """A template with its RDKit reaction and queries (one per reactant), to choose blocks and make products."""

    def __init__(self, template: ReactionTemplate) -> None:
        self.template = template
        self.reaction = rdChemReactions.ReactionFromSmarts(template.smarts)
        self.reaction.Initialize()
        self.queries = list(self.reaction.GetReactants())
        self.forbidden = [Chem.MolFromSmarts(COMPETING[name]) for name in template.forbidden]

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


def admit_block(smiles: str, max_atoms: int = Recipe.max_block_atoms) -> tuple[str, str]:
    """(canonical SMILES, "") of a building block, one neutral organic fragment; or ("", the reason why it is none)."""
    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        return "", "does not parse"
    if len(Chem.GetMolFrags(mol)) > 1:
        return "", "several fragments"
    if not 2 <= mol.GetNumHeavyAtoms() <= max_atoms:
        return "", f"heavy atoms outside 2..{max_atoms}"
    atoms = list(mol.GetAtoms())
    if any(a.GetSymbol() not in ELEMENTS for a in atoms):
        return "", "element outside " + ",".join(sorted(ELEMENTS))
    if any(a.GetIsotope() or a.GetNumRadicalElectrons() for a in atoms):
        return "", "isotope or radical"
    if has_ion(mol) or not any(a.GetSymbol() == "C" for a in atoms):
        return "", "charged or without carbon"
    if any(mol.HasSubstructMatch(query) for query in UNSTABLE_QUERIES):
        return "", "unstable"
    return Chem.MolToSmiles(mol), ""


def substrates(template: ReactionTemplate, blocks: list[str], recipe: Recipe) -> list[list[str]]:
    """For each reactant slot of the template, the molecules that may fill it."""
    compiled = CompiledTemplate(template)
    if template.feedstock:
        parent = next(t for t in TEMPLATES if t.name == template.feedstock)
        made = combinations(parent, substrates(parent, blocks, recipe), recipe)
        blocks = sorted({*blocks, *(product for _, product in made)})
    slots = range(len(compiled.queries) - bool(template.reagent))
    pools = [[s for s in blocks if compiled.accepts(_read(s), slot)] for slot in slots]
    return [*pools, [template.reagent]] if template.reagent else pools


def combinations(
    template: ReactionTemplate, pools: list[list[str]], recipe: Recipe
) -> Iterator[tuple[tuple[str, ...], str]]:
    """(reactants, product) for random combinations of the pools, none twice; the order depends on the seed alone."""
    compiled = CompiledTemplate(template)
    total = prod(map(len, pools))
    chooser = random.Random(f"{recipe.seed}/{template.name}")
    for index in chooser.sample(range(total), min(total, recipe.cap * recipe.tries)):
        chosen = []
        for pool in pools:
            index, place = divmod(index, len(pool))
            chosen.append(pool[place])
        product = compiled.product(tuple(chosen))
        if product is not None:
            yield tuple(chosen), product


def generate(
    blocks: list[str],
    recipe: Recipe | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Reaction], dict[str, list[int]]]:
    """The reactions of these canonical building blocks, and the size of each template's reactant pools.

    `on_progress` gets the number of steps done and of all: two per template.
    """
    recipe = recipe or Recipe()
    reactions: dict[str, Reaction] = {}
    pools = {}
    for done, template in enumerate(TEMPLATES):
        on_progress(done, 2 * len(TEMPLATES))
        pools[template.name] = substrates(template, blocks, recipe)
    # A product goes to the first template that makes it, so those with the fewest possible reactions choose first.
    for done, template in enumerate(sorted(TEMPLATES, key=lambda t: prod(map(len, pools[t.name]))), len(TEMPLATES)):
        on_progress(done, 2 * len(TEMPLATES))
        fresh = _fresh(combinations(template, pools[template.name], recipe), reactions, recipe)
        for reactants, product in islice(fresh, recipe.cap):
            joined = ".".join(sorted(Chem.CanonSmiles(s) for s in reactants))
            reactions[product] = Reaction(joined, product, template.name)
    return _unambiguous(list(reactions.values())), {name: list(map(len, slots)) for name, slots in pools.items()}


def _fresh(
    made: Iterator[tuple[tuple[str, ...], str]], known: Mapping[str, Reaction], recipe: Recipe
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Those whose product is of a fitting size and not yet among the `known`, which grow meanwhile."""
    sizes = range(recipe.min_product_atoms, recipe.max_product_atoms + 1)
    return ((r, product) for r, product in made if product not in known and _read(product).GetNumHeavyAtoms() in sizes)


def _unambiguous(reactions: list[Reaction]) -> list[Reaction]:
    """Without reactant sets that give different products by different templates: no model could tell which is meant."""
    seen = Counter(r.reactants for r in reactions)
    return sorted((r for r in reactions if seen[r.reactants] == 1), key=lambda r: r.product)

"""What can be wrong with a labelled pair although either side is fine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from rtrl_chem import chem
from rtrl_chem.chem.functional_groups import groups_named
from rtrl_chem.data.inspect.structures import Facts
from rtrl_chem.tasks import Domain, Task

__all__ = ["NAME_CHECKS", "Problem", "checks_of", "name_problem", "pair_problems"]

CHECKS = {
    "copy": "target equals source",
    "leak": "text holds its molecule's SMILES",
    "false_claim": "text claims a functional group that its molecule lacks",
    "extra_atoms": "product holds atoms that the reactants lack",
    "unchanged": "product is one of the reactants",
}
NAME_CHECKS = {
    "name_unread": "name that OPSIN cannot read",
    "name_other": "name that OPSIN reads as another molecule",
    "name_stereo": "name that OPSIN reads with other stereo",
    "name_form": "name that OPSIN reads in another form (same InChI)",
}


class Problem(NamedTuple):
    """The key of a check and what shows it."""

    key: str
    detail: str = ""


def checks_of(task: Task) -> dict[str, str]:
    """Key and label of each check that makes sense for the task, those of names left out."""
    keys = ["copy"]
    if _molecule_and_text(task.left, task.right):
        keys.append("leak")
        if task.left.prose or task.right.prose:
            keys.append("false_claim")
    if (task.left.kind, task.right.kind) == ("molecules", "molecule"):
        keys += ["extra_atoms", "unchanged"]
    return {key: CHECKS[key] for key in keys}


def has_names(task: Task) -> bool:
    """Whether OPSIN can read one side and RDKit the other."""
    return task.right.tag == "IUPAC" and task.left.kind == "molecule"


def pair_problems(cells: Sequence[str], facts: Sequence[Facts | None], task: Task) -> list[Problem]:
    """What is wrong with one pair; `facts` are those of the structure sides. Invalid ones are counted elsewhere."""
    source, target = cells
    problems = []
    if chem.is_copy(source, target):
        problems.append(Problem("copy"))
    left, right = facts
    if _molecule_and_text(task.left, task.right):
        structure, text = (left, target) if task.left.is_structure else (right, source)
        smiles = source if task.left.is_structure else target
        problems += _text_problems(smiles, text, structure, task.left.prose or task.right.prose)
    elif (task.left.kind, task.right.kind) == ("molecules", "molecule") and left and right:
        problems += _reaction_problems(left, right)
    return problems


def _molecule_and_text(left: Domain, right: Domain) -> bool:
    return left.is_structure != right.is_structure


def _text_problems(smiles: str, text: str, structure: Facts | None, prose: bool) -> list[Problem]:
    problems = []
    if leak := chem.find_leak(smiles, text, source_is_molecule=True, output_is_molecule=False):
        problems.append(Problem("leak", str(leak)))
    if prose and structure and not structure.reason:
        lacking = groups_named(text) - set(structure.groups)
        if lacking:
            problems.append(Problem("false_claim", ", ".join(sorted(lacking))))
    return problems


def _reaction_problems(reactants: Facts, product: Facts) -> list[Problem]:
    if reactants.reason or product.reason:
        return []
    problems = []
    lacking = Counter(dict(product.elements)) - Counter(dict(reactants.elements))
    if lacking:
        problems.append(Problem("extra_atoms", " ".join(f"{symbol}{n}" for symbol, n in sorted(lacking.items()))))
    if product.item in reactants.item.split("."):
        problems.append(Problem("unchanged", product.item))
    return problems


def name_problem(molecule: str, read: str | None) -> Problem | None:
    """What OPSIN's reading of a name, canonical SMILES or None, says against it; `molecule` is canonical."""
    if read is None:
        return Problem("name_unread")
    if read == molecule:
        return None
    if chem.equal(read, molecule, "inchi"):  # a tautomer, or charges written otherwise
        return Problem("name_form", read)
    return Problem("name_stereo" if chem.equal(read, molecule, "stereo_free") else "name_other", read)

"""The evaluation of SMolInstruct / LlaSMol (Yu et al. 2024; OSU-NLP-Group/LLM4Chem, `compute_metrics.py`).

Counts over the first 1, 2, ... k outputs of a row, not shares; `num_all` is the denominator the paper divides by:

- `num_t{k}_no_answer`, `num_t{k}_invalid`: rows whose first k outputs are **all** empty, or **all** invalid: a row with
  one empty and one invalid output is neither.
- `num_t{k}_exact_match`: rows with an output among the first k whose **set** of fragment InChIs is the target's. Sets
  lose stoichiometry (A.A is A), InChI merges tautomers.
- `t1_maccs_fps`, `t1_rdk_fps`, `t1_morgan_fps`: mean Tanimoto of first outputs, over **valid ones only**; Morgan is
  counted and unfolded, radius 2.
- Sets of molecules (retrosynthesis) have `num_t{k}_subset` and `num_t{k}_intersection`: an output that shares a
  fragment with the target. Both are the count of intersections: the script never prints the subsets it computes.

Before that a SMILES is rewritten fragment by fragment (`canonicalize_molecule_smiles`): ";" reads as ".", an empty
fragment makes it invalid, text behind white space is dropped, atom maps, isotopes and radicals vanish, so does the
stereo of atoms with fewer than four neighbours and a multiple bond (sulfoxides).

Captions: `bleu2`, `bleu4`, `meteor_score` over SciBERT word pieces, `rouge_1`, `rouge_2`, `rouge_l`, all over
**answered rows only**, beside `num_all` and `num_no_answer`. Names: `num_t{k}_split_match`, the same parts between
semicolons in any order.

Several targets: whatever its data set has as the target of a source is right for it. Here these are the targets of a
row (`gold` may be a list) and those of the other rows of the file with the same source, which is the same where the
file holds the whole test set. A row's similarity is the highest over its targets, fingerprint by fingerprint. For
captions the script picks one of them, an arbitrary one; here it is the row's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from rtrl_chem.evaluation.metrics import captions
from rtrl_chem.evaluation.metrics.dialects.molt5 import caption_scores
from rtrl_chem.evaluation.metrics.dialects.report import (
    Report,
    Settings,
    fingerprint_similarities,
    mean,
    read_leniently,
    without_value,
)
from rtrl_chem.evaluation.metrics.tokens import find_vocabulary
from rtrl_chem.evaluation.metrics.workers import map_chunks
from rtrl_chem.evaluation.predictions import Row, SavedPredictions
from rtrl_chem.tasks import Direction, Task

__all__ = ["caption_report", "name_report", "report", "rewrite", "structure_report"]

Array = NDArray[np.float64]

_CAPTION_NAMES = {
    "bleu2": "bleu2",
    "bleu4": "bleu4",
    "rouge1": "rouge_1",
    "rouge2": "rouge_2",
    "rougeL": "rouge_l",
    "meteor": "meteor_score",
}
_FINGERPRINTS = ("t1_maccs_fps", "t1_rdk_fps", "t1_morgan_fps")


def report(predictions: SavedPredictions, task: Task, direction: Direction, settings: Settings) -> Report:
    """What the script prints for these predictions; which of its metrics apply follows from the outputs."""
    output = task.output(direction)
    if output.is_structure:
        several = output.kind == "molecules"
        return structure_report(predictions.rows, predictions.ranks, settings, multiple_match=several)
    if output.prose:
        return caption_report(predictions, settings)
    return name_report(predictions.rows, predictions.ranks)


def structure_report(rows: Sequence[Row], ranks: int, settings: Settings, multiple_match: bool = False) -> Report:
    """Counts of molecules, with `multiple_match` those of sets of molecules too."""
    work = partial(_structure_statistics, ranks=ranks)
    judged = list(zip(rows, _targets(rows), strict=True))
    found = map_chunks(work, judged, settings.processes, settings.on_progress)
    flags = np.concatenate([flags for flags, _ in found])
    similar = np.concatenate([similarities for _, similarities in found])
    no_answer, invalid, exact, shared = (flags[:, :, i] for i in range(4))
    values: dict[str, Any] = {"num_all": len(rows)}
    for k in range(1, ranks + 1):
        values[f"num_t{k}_no_answer"] = int(no_answer[:, :k].all(axis=1).sum())
        values[f"num_t{k}_invalid"] = int(invalid[:, :k].all(axis=1).sum())
    for k in range(1, ranks + 1):
        values[f"num_t{k}_exact_match"] = int(exact[:, :k].any(axis=1).sum())
    readable = ~np.isnan(similar[:, 0])
    values |= {name: mean(similar[readable, i]) for i, name in enumerate(_FINGERPRINTS)}
    for k in range(1, ranks + 1) if multiple_match else ():
        intersecting = int(shared[:, :k].any(axis=1).sum())
        values |= {f"num_t{k}_subset": intersecting, f"num_t{k}_intersection": intersecting}
    return Report(values, without_value(values, _FINGERPRINTS, "no first output is valid"))


def caption_report(predictions: SavedPredictions, settings: Settings) -> Report:
    """Text metrics over the rows that have an answer."""
    reading = captions.prepare(find_vocabulary(settings.vocabulary, predictions.path.parent), settings.wordnet)
    pairs = [(row.output.strip(), (row.target or "").strip()) for row in predictions.rows]
    answered = [pair for pair in pairs if pair[0]]
    counts = {"num_all": len(pairs), "num_no_answer": len(pairs) - len(answered)}
    if not answered:
        reasons = dict.fromkeys(_CAPTION_NAMES.values(), "no row has an answer")
        return Report(counts | dict.fromkeys(_CAPTION_NAMES.values()), reasons)
    found = caption_scores(answered, reading, settings)
    values = {theirs: found.values[ours] for ours, theirs in _CAPTION_NAMES.items()}
    return Report(counts | values, {_CAPTION_NAMES[name]: reason for name, reason in found.not_measured.items()})


def name_report(rows: Sequence[Row], ranks: int) -> Report:
    """`split_match` of names."""
    values: dict[str, Any] = {"num_all": len(rows)}
    for k in range(1, ranks + 1):
        values[f"num_t{k}_no_answer"] = sum(not any(row.outputs[:k]) for row in rows)
    wanted = [{_parts(target) for target in targets} for targets in _targets(rows)]
    for k in range(1, ranks + 1):
        values[f"num_t{k}_split_match"] = sum(
            any(_parts(output) in right for output in row.outputs[:k]) for row, right in zip(rows, wanted, strict=True)
        )
    return Report(values)


def rewrite(smiles: str) -> tuple[str, ...] | None:
    """The fragments of a SMILES as the script rewrites them, sorted; None if it calls it invalid."""
    fragments = [_rewrite_fragment(fragment) for fragment in smiles.replace(";", ".").split(".")]
    return None if None in fragments else tuple(sorted(fragment for fragment in fragments if fragment is not None))


def _targets(rows: Sequence[Row]) -> list[list[str]]:
    """The right answers to each row, its own first: those of all rows with its source."""
    own = [[text.strip() for text in (row.target or "", *row.more_targets)] for row in rows]
    of_source: dict[str, list[str]] = defaultdict(list)
    for row, targets in zip(rows, own, strict=True):
        of_source[row.source] += targets
    # Rows without a source have nothing in common.
    return [
        list(dict.fromkeys([*targets, *(of_source[row.source] if row.source else ())]))
        for row, targets in zip(rows, own, strict=True)
    ]


def _structure_statistics(judged: Sequence[tuple[Row, Sequence[str]]], ranks: int) -> tuple[NDArray[np.bool_], Array]:
    """(n, ranks, 4) flags: no answer, invalid, exact match, shares a fragment; (n, 3) similarities, NaN if invalid."""
    flags = np.zeros((len(judged), ranks, 4), dtype=bool)
    flags[:, :, 0] = True
    similar = np.full((len(judged), len(_FINGERPRINTS)), np.nan)
    for i, (row, targets) in enumerate(judged):
        wanted = [fragments for target in targets if (fragments := rewrite(target)) is not None]
        identities = [_identity(fragments) for fragments in wanted]
        for rank, output in enumerate(row.outputs):
            fragments = rewrite(output) if output else None
            flags[i, rank, :2] = not output, bool(output) and fragments is None
            if fragments is None or not wanted:
                continue
            ours = _identity(fragments)
            flags[i, rank, 2:] = ours in identities, any(ours & one for one in identities)
            if rank == 0:
                similar[i] = np.max([_similarities(target, fragments) for target in wanted], axis=0)
    return flags, similar


def _similarities(target: tuple[str, ...], fragments: tuple[str, ...]) -> list[float]:
    a, b = read_leniently(".".join(target)), read_leniently(".".join(fragments))
    if a is None or b is None or not b.GetNumAtoms():  # white space alone is "valid", and left out of the means
        return [np.nan] * len(_FINGERPRINTS)
    return fingerprint_similarities(a, b)


@lru_cache(maxsize=50_000)
def _rewrite_fragment(fragment: str) -> str | None:
    mol = read_leniently(fragment) if fragment else None
    if mol is None:
        return None
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(0)
    again = read_leniently(_rebuilt(Chem.MolToSmiles(mol)))
    return None if again is None else str(Chem.MolToSmiles(again))


def _rebuilt(smiles: str) -> str:
    """The script's copy of a molecule, atom by atom: it keeps elements, charges, bonds and most stereo."""
    # Twice through the writer, as in the script: ring stereo of some molecules settles only then.
    settled = read_leniently(smiles)
    if settled is None:
        return smiles
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(Chem.MolToSmiles(settled), sanitize=False)
        mol.UpdatePropertyCache(strict=False)
        for atom in mol.GetAtoms():
            _forget(atom)
        flags = Chem.SanitizeFlags
        steps = flags.SANITIZE_SETAROMATICITY | flags.SANITIZE_PROPERTIES | flags.SANITIZE_ADJUSTHS
        Chem.SanitizeMol(mol, sanitizeOps=steps, catchErrors=True)
        Chem.AssignStereochemistry(mol, cleanIt=False, force=True, flagPossibleStereoCenters=True)
        return str(Chem.MolToSmiles(mol))


def _forget(atom: Chem.Atom) -> None:
    """Isotope, radical, hydrogens of non-aromatic atoms, and the stereo that does not survive the copy."""
    if not (atom.GetIsAromatic() and atom.GetNoImplicit()):
        atom.SetNumExplicitHs(0)
    atom.SetNoImplicit(False)
    atom.SetIsotope(0)
    atom.SetNumRadicalElectrons(0)
    multiple = any(bond.GetBondType() != Chem.BondType.SINGLE for bond in atom.GetBonds())
    if atom.GetDegree() < 3 or (atom.GetDegree() == 3 and multiple):
        atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)


def _identity(fragments: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_inchi, fragments))


@lru_cache(maxsize=50_000)
def _inchi(fragment: str) -> str:
    mol = read_leniently(fragment)
    with rdBase.BlockLogs():
        return "" if mol is None else str(Chem.MolToInchi(mol))


def _parts(name: str) -> tuple[str, ...]:
    return tuple(sorted(name.split(";")))

"""The molecules of a benchmark, in the forms in which they are looked for in a corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rdkit import rdBase

from rtrl_chem import chem
from rtrl_chem.chem.atom_maps import without_atom_maps
from rtrl_chem.data.prepare.decontaminate import first_block
from rtrl_chem.data.workers import stream_chunks

__all__ = ["Known", "known_from"]

# A process costs seconds to start, a molecule a millisecond.
_WORTH_PROCESSES = 5_000


@dataclass(frozen=True)
class Known:
    """The molecules of a benchmark: their InChIKey first blocks, and their canonical SMILES, with and without stereo,
    each with its block. `unreachable` says why there are none."""

    name: str
    blocks: frozenset[str] = frozenset()
    texts: Mapping[str, str] = field(default_factory=dict)
    unreachable: str = ""


def known_from(
    name: str,
    smiles: Sequence[str],
    processes: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Known:
    """What is known of a benchmark with these molecules; those that are invalid are left out."""
    texts: dict[str, str] = {}
    workers = processes if len(smiles) > _WORTH_PROCESSES else 1
    for number, (block, spellings) in enumerate(stream_chunks(_keys, smiles, workers)):
        texts.update(dict.fromkeys(spellings, block))
        if number % 250 == 0:
            on_progress(number, len(smiles))
    return Known(name, frozenset(texts.values()), texts)


def _keys(structures: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    found: list[tuple[str, tuple[str, ...]]] = []
    with rdBase.BlockLogs():
        for smiles in structures:
            molecule = chem.parse(without_atom_maps(smiles) or "" if ":" in smiles else smiles)
            if molecule:
                block = first_block(molecule.mol, molecule.canonical)
                found.append((block, (molecule.canonical, molecule.stereo_free)))
    return found

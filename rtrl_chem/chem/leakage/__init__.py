"""Does an output hand its source over? A round trip rewards whatever lets x be read back from y; the easiest y is x.

- `search`: a text searched plainly and with disguises undone; `molecules`, `texts`: what is searched for
- `disguises`: which disguises are undone and when; `notations`, `codes`, `letters`: how
- `text`, `residue`: signs of a disguise; a text without its words, and the forms in which a SMILES may lie in the rest
- `skeleton`: SMILES read tolerantly, as a graph of elements; `patterns`: ciphers found without a key
- `structures`: reactants or products that are the source in all but spelling; `copies`: outputs that are the source
"""

from __future__ import annotations

from collections.abc import Iterable

from rtrl_chem.chem.leakage.copies import is_copy, is_copy_batch
from rtrl_chem.chem.leakage.leak import Leak
from rtrl_chem.chem.leakage.molecules import MoleculeSearch
from rtrl_chem.chem.leakage.search import MOST_LAYERS, search
from rtrl_chem.chem.leakage.structures import find_shared
from rtrl_chem.chem.leakage.texts import TextSearch

__all__ = ["Leak", "find_leak", "find_leak_batch", "is_copy", "is_copy_batch"]


def find_leak(source: str, output: str, source_is_molecule: bool, output_is_molecule: bool) -> Leak | None:
    """What in `output` gives `source` away and the way it was hidden, or None.

    - Molecule to text: the source in any spelling or notation, whole or in pieces, plain or disguised; or a part of it
      with at least 6 heavy atoms and more than half of the source's. What is compared is which atoms are joined, not
      bond orders, charges or stereo. A source of fewer than 6 heavy atoms must stand there as a SMILES of its own.
    - Molecule to molecule: fragments of the source that stand in the output unchanged, in another form or cut, when
      they are all of it or at least 6 heavy atoms and more than half. A copy is therefore a leak as well.
    - Text to anything: the source text, upper and lower case and white space folded; to a text also disguised.
    """
    if source_is_molecule and output_is_molecule:
        return find_shared(source, output)
    if source_is_molecule:
        return search(MoleculeSearch(source), output)
    # A valid SMILES has no room for a text in disguise.
    return search(TextSearch(source), output, layers=0 if output_is_molecule else MOST_LAYERS)


def find_leak_batch(
    sources: Iterable[str], outputs: Iterable[str], source_is_molecule: bool, output_is_molecule: bool
) -> list[Leak | None]:
    """`find_leak` pair by pair; ValueError when the two differ in length."""
    pairs = zip(sources, outputs, strict=True)
    return [find_leak(source, output, source_is_molecule, output_is_molecule) for source, output in pairs]

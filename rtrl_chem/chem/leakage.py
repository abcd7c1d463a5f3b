"""Does an output hand its source over? A round trip rewards whatever lets x be read back from y; the easiest y is x.

For a text about a molecule (a name, a caption) the search goes from cheap to dear: x as a plain string; then runs of
SMILES characters, of which ordinary text has hardly any that are long enough to reach RDKit; only such a run is
compared with x as a graph.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice, takewhile

from rdkit import Chem, rdBase

from rtrl_chem.chem.molecule import MAX_LENGTH, Molecule, parse

__all__ = ["find_leak", "find_leak_batch", "is_copy", "is_copy_batch"]

# A piece of x counts as x handed over when it has this many heavy atoms and more than half of x's.
_MIN_FRAGMENT_ATOMS = 6
# Below this, words hold x by chance: "CO", "CN", "I". Only an output that is x and nothing else gives those away.
_MIN_TOKEN_LENGTH = 3
_MIN_ANYWHERE_LENGTH = 8
# Letters of words that touch a SMILES ("proCCOc1ccccc1ol") belong to its run: so many atoms may be cut from either end.
_MAX_TRIM = 4
# So many atoms are compared as a graph. All of them would be exact, and without bond orders exponential: a heparin
# chain against itself does not end. Text that spells out 32 neighbouring atoms of x does not do so by chance.
_PROBE_ATOMS = 32
_BONDS = "-=#$:/\\~."

_ATOM = r"(?:\[\d*(?:[A-Z][a-z]?|[bcnops]|se|as|te|\*)[@A-Z\d+\-:]*\]|Br|Cl|[BCNOPSFIbcnops*])"
_TOKEN = re.compile(rf"{_ATOM}|%\d\d|[-=#$:/\\~.()\d]")
_RUN = re.compile(rf"{_ATOM}(?:{_TOKEN.pattern}){{{_MIN_TOKEN_LENGTH - 1},}}")
_IS_ATOM = re.compile(_ATOM)
_WHOLE_RUN = re.compile(rf"(?:{_TOKEN.pattern})+")
# What may not touch a token: "CCO" is no token of its own in "CCOC" or "C(CCO)". A full stop or a comma may.
_GLUE = r"[A-Za-z0-9@+\-\[\]()=#$%/\\*~]"


def find_leak(source: str, output: str, source_is_molecule: bool, output_is_molecule: bool) -> str | None:
    """The text in `output` that gives `source` away, or None.

    - Molecule to text: the source SMILES itself (as a token of its own; a long one anywhere, also spaced out), or a run
      of SMILES characters that is or holds the source in another spelling, or that is a part of it with at least 6
      heavy atoms and more than half of the source's. Charges and stereo are not compared, of a large part only the
      first 32 atoms are looked up; one that was cut through a ring is compared without bond orders.
    - Molecule to molecule: fragments of the source that stand unchanged in the output, when they are all of it or at
      least 6 heavy atoms and more than half. A copy is therefore a leak as well.
    - Text to anything: the source text, upper and lower case and white space folded.
    """
    if not source_is_molecule:
        return _find_text(source, output)
    if output_is_molecule:
        return _find_shared_fragments(source, output)
    return _find_literal(source, output) or _find_run(source, output)


def find_leak_batch(
    sources: Iterable[str], outputs: Iterable[str], source_is_molecule: bool, output_is_molecule: bool
) -> list[str | None]:
    """`find_leak` pair by pair; ValueError when the two differ in length."""
    pairs = zip(sources, outputs, strict=True)
    return [find_leak(source, output, source_is_molecule, output_is_molecule) for source, output in pairs]


def is_copy(source: str, output: str) -> bool:
    """Whether y is x: the same structure where both are molecules, else the same text with case and white space folded.

    Case carries meaning between molecules: benzene is no copy of cyclohexane.

    >>> is_copy("C1CCCCC1", "c1ccccc1"), is_copy("CCO", " OCC "), is_copy("Ethanol", "ethanol")
    (False, True, True)
    """
    left, right = source.strip(), output.strip()
    if _WHOLE_RUN.fullmatch(left) and _WHOLE_RUN.fullmatch(right):
        a, b = parse(left), parse(right)
        if a and b:
            return a.canonical == b.canonical
    return bool(left) and _folded(left) == _folded(right)


def is_copy_batch(sources: Iterable[str], outputs: Iterable[str]) -> list[bool]:
    """`is_copy` pair by pair; ValueError when the two differ in length."""
    return [is_copy(source, output) for source, output in zip(sources, outputs, strict=True)]


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _find_text(source: str, output: str) -> str | None:
    """A name or caption inside the output: as words of its own, or anywhere if it is long."""
    wanted, text = _folded(source), _folded(output)
    if not wanted or wanted not in text:
        return None
    if wanted == text or len(wanted) >= _MIN_ANYWHERE_LENGTH:
        return source
    own_token = len(wanted) >= _MIN_TOKEN_LENGTH and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", text)
    return source if own_token else None


def _find_shared_fragments(source: str, output: str) -> str | None:
    x, y = parse(source), parse(output)
    if x is None or y is None:
        return None
    shared = Counter(x.fragments) & Counter(y.fragments)
    if not shared:
        return None
    text = ".".join(sorted(shared.elements()))
    molecule = parse(text)
    return text if molecule and (text == ".".join(x.fragments) or _gives_away(molecule.heavy_atoms, x)) else None


def _gives_away(heavy_atoms: int, x: Molecule) -> bool:
    return heavy_atoms >= _MIN_FRAGMENT_ATOMS and 2 * heavy_atoms > x.heavy_atoms


def _find_literal(source: str, output: str) -> str | None:
    """The source SMILES letter by letter."""
    joined = "".join(output.split())
    if not source or joined == source:
        return source or None
    if len(source) >= _MIN_ANYWHERE_LENGTH:
        return source if source in joined else None
    if len(source) < _MIN_TOKEN_LENGTH or source not in output:
        return None
    return source if re.search(rf"(?<!{_GLUE}){re.escape(source)}(?!{_GLUE})", output) else None


def _find_run(source: str, output: str) -> str | None:
    """A run of SMILES characters that is the source, in any spelling, or a large part of it."""
    for match in _RUN.finditer(output):
        tokens = _TOKEN.findall(match.group())
        atoms = sum(map(_is_atom, tokens))
        if atoms < _MIN_TOKEN_LENGTH:
            continue
        x = parse(source)
        if x is None:
            return None
        if x.heavy_atoms < _MIN_FRAGMENT_ATOMS:
            found = _own_token(match) if atoms >= x.heavy_atoms else None
            if found and _same_without_stereo(found, x):
                return found
        elif _gives_away(atoms, x) and (found := _part_of(tokens, x)):
            return found
    return None


def _is_atom(token: str) -> bool:
    return _IS_ATOM.fullmatch(token) is not None


def _own_token(match: re.Match[str]) -> str | None:
    """The run without punctuation after it, unless it touches other text."""
    run = match.group().rstrip(".:")
    text, start, end = match.string, match.start(), match.start() + len(run)
    touches = re.match(_GLUE, text[max(start - 1, 0) : start]) or re.match(_GLUE, text[end : end + 1])
    return None if touches else run


def _same_without_stereo(run: str, x: Molecule) -> bool:
    other = parse(run)
    return other is not None and other.stereo_free == x.stereo_free


def _part_of(tokens: list[str], x: Molecule) -> str | None:
    """The run if it is x or holds it; else the run, perhaps cut by a few atoms at its ends, if x holds it."""
    if _same_without_stereo("".join(tokens), x):
        return "".join(tokens)
    for piece in _trimmed(tokens):
        closed = _closed(piece)
        mol = _as_written("".join(closed))
        if mol is None or not _gives_away(mol.GetNumAtoms(), x):
            continue
        # A ring cut open is no longer aromatic: what is left says which atoms are joined, but not how.
        cut_ring = sum(map(_is_ring_bond, closed)) < sum(map(_is_ring_bond, piece))
        smaller, larger = (x.mol, mol) if mol.GetNumAtoms() > x.heavy_atoms else (mol, x.mol)
        if larger.HasSubstructMatch(_skeleton(smaller, any_bond=cut_ring)):
            return "".join(piece)
    return None


def _trimmed(tokens: list[str]) -> Iterator[list[str]]:
    """The tokens without some of the lower-case atoms at either end, which may be letters of words; least cut first."""
    atoms = [index for index, token in enumerate(tokens) if _is_atom(token)]
    front = _count_lower(tokens[index] for index in atoms)
    back = _count_lower(tokens[index] for index in reversed(atoms))
    for i, j in sorted(((i, j) for i in range(front + 1) for j in range(back + 1)), key=sum):
        if i + j < len(atoms):
            after = atoms[len(atoms) - j] if j else len(tokens)
            yield tokens[atoms[i] : after]


def _count_lower(atoms: Iterable[str]) -> int:
    return sum(1 for _ in takewhile(str.islower, islice(atoms, _MAX_TRIM)))


def _is_ring_bond(token: str) -> bool:
    return token.isdigit() or token.startswith("%")


def _closed(tokens: list[str]) -> list[str]:
    """The tokens without what a cut leaves open: branches, ring bonds and bonds that lead nowhere."""
    open_branches: list[int] = []
    open_rings: dict[str, int] = {}
    dropped: set[int] = set()
    for index, token in enumerate(tokens):
        if token == "(":
            open_branches.append(index)
        elif token == ")" and open_branches:
            open_branches.pop()
        elif token == ")":
            dropped.add(index)
        elif _is_ring_bond(token) and open_rings.pop(token, None) is None:
            open_rings[token] = index
    dropped.update(open_branches, open_rings.values())
    kept = [token for index, token in enumerate(tokens) if index not in dropped]
    while kept and kept[-1] in _BONDS:
        kept.pop()
    return kept


def _as_written(smiles: str) -> Chem.Mol | None:
    """The heavy atoms of a SMILES, not sanitised where that fails: a piece of an aromatic ring is x all the same."""
    if molecule := parse(smiles):
        return molecule.mol
    if len(smiles) > MAX_LENGTH:
        return None
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles, sanitize=False)
        return None if mol is None else Chem.RemoveHs(mol, sanitize=False)


def _skeleton(mol: Chem.Mol, any_bond: bool) -> Chem.Mol:
    """A query for the first `_PROBE_ATOMS` atoms by element, joined as in `mol`, by the same or by any bonds."""
    size = min(mol.GetNumAtoms(), _PROBE_ATOMS)
    query = Chem.RWMol()
    for index in range(size):
        query.AddAtom(Chem.AtomFromSmarts(f"[#{mol.GetAtomWithIdx(index).GetAtomicNum()}]"))
    for bond in mol.GetBonds():
        if max(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) < size:
            query.AddBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), bond.GetBondType())
            if any_bond:
                query.ReplaceBond(query.GetNumBonds() - 1, Chem.BondFromSmarts("~"))
    return query.GetMol()

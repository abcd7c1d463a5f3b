"""Build the bundled SMILES/name data set from the PyPI packages `chemicals`, `openclatura` and `py2opsin`.

Molecules come from `chemicals` (MIT), names from `openclatura` (MIT); a pair is kept only where OPSIN (an independent
parser, through `py2opsin`, MIT; needs Java) reads the name back to the same molecule. Every molecule is put in exactly
one split by a hash of its canonical SMILES, so the splits survive a rebuild and never depend on row order.

    pip install -e '.[assets]'
    python scripts/build_naming_data.py --out rtrl_chem/assets/naming
"""

import argparse
import hashlib
import json
from collections import Counter
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from rdkit import Chem, RDLogger

from rtrl_chem.chem.naming import Opsin
from rtrl_chem.data.make_pairs.files import write_tsv_gz
from rtrl_chem.data.make_pairs.naming import name_molecules
from rtrl_chem.data.workers import stream_chunks

ELEMENTS = {"B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I"}
MIN_ATOMS, MAX_ATOMS, MAX_NAME = 4, 14, 80
# Shares in per mille of the hash range. RL needs only molecules, so most of them go without a label.
SPLITS = {"test": 60, "validation": 40, "labelled": 360, "unlabelled": 540}


def split_of(smiles: str) -> str:
    """The split of a canonical SMILES: a function of the string alone."""
    point = int.from_bytes(hashlib.sha256(b"rtrl-chem/naming/" + smiles.encode()).digest()[:8], "big") % 1000
    for name, share in SPLITS.items():
        if point < share:
            return name
        point -= share
    raise AssertionError("the shares add up to 1000")


def read_chemicals() -> list[str]:
    """The SMILES column of every identifier table in `chemicals`."""
    folder = Path(str(files("chemicals"))) / "Identifiers"
    rows = []
    for path in sorted(folder.glob("chemical identifiers*.tsv")):
        with open(path, encoding="utf8") as lines:
            rows += [cells[4] for cells in (line.rstrip("\n").split("\t") for line in lines) if len(cells) > 7]
    return rows


def admit(smiles: str) -> tuple[str, str]:
    """(canonical SMILES, "") or ("", the reason for leaving it out)."""
    mol = Chem.MolFromSmiles(smiles)
    if mol is None or not smiles.strip():
        return "", "does not parse"
    canonical = Chem.MolToSmiles(mol)
    if "." in canonical:
        return "", "several fragments"
    if any(a.GetSymbol() not in ELEMENTS for a in mol.GetAtoms()):
        return "", "element outside " + ",".join(sorted(ELEMENTS))
    if any(a.GetIsotope() or a.GetNumRadicalElectrons() for a in mol.GetAtoms()):
        return "", "isotope or radical"
    if Chem.GetFormalCharge(mol) or not any(a.GetSymbol() == "C" for a in mol.GetAtoms()):
        return "", "charged or without carbon"
    if not MIN_ATOMS <= mol.GetNumHeavyAtoms() <= MAX_ATOMS:
        return "", f"heavy atoms outside {MIN_ATOMS}..{MAX_ATOMS}"
    return canonical, ""


def main() -> None:
    """Run the build and write the four splits and `manifest.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    RDLogger.DisableLog("rdApp.*")

    raw = read_chemicals()
    admitted = [admit(s) for s in raw]
    reasons = Counter(reason for _, reason in admitted if reason)
    molecules = sorted({s for s, _ in admitted if s})
    reasons["duplicate"] = sum(1 for s, _ in admitted if s) - len(molecules)

    named = zip(molecules, stream_chunks(name_molecules, molecules, args.processes), strict=True)
    candidates = [(smiles, found.name) for smiles, found in named if found.name and len(found.name) <= MAX_NAME]
    read = Opsin().read([name for _, name in candidates])
    checked = {smiles: name for (smiles, name), back in zip(candidates, read, strict=True) if back == smiles}

    args.out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[list[str]]] = {name: [] for name in SPLITS}
    for smiles in molecules:
        split = split_of(smiles)
        if split == "unlabelled":
            rows[split].append([smiles])
        elif smiles in checked:
            rows[split].append([smiles, checked[smiles]])
    for split, lines in rows.items():
        header = ["smiles"] if split == "unlabelled" else ["smiles", "name"]
        write_tsv_gz(args.out / f"{split}.tsv.gz", header, lines)
    manifest = {
        "rows_in": len(raw),
        "molecules": len(molecules),
        "dropped": dict(reasons),
        "named": len(candidates),
        "name_read_back_by_opsin": len(checked),
        "splits": {name: len(lines) for name, lines in rows.items()},
        "versions": {p: version(p) for p in ("chemicals", "openclatura", "py2opsin", "rdkit")},
        "command": "python scripts/build_naming_data.py --out rtrl_chem/assets/naming",
    }
    (args.out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    print(json.dumps(manifest, indent=2))


if __name__ == "__main__":
    main()

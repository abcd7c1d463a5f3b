"""Build the bundled, synthetic reactants/product data set: reaction templates applied to real building blocks.

The building blocks are molecules of the PyPI package `chemicals` (MIT); the reactions are those of
`rtrl_chem.chem.reaction_templates`. Nobody has run these reactions: the set is for trying out round-trip training, not
a source of chemistry. A product appears once, with one reactant set, and in exactly one split, by a hash of its SMILES.

    pip install -e '.[assets]'
    python scripts/build_reaction_data.py --out rtrl_chem/assets/reaction
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from build_naming_data import read_chemicals
from rdkit import rdBase

from rtrl_chem.chem.reaction_templates import TEMPLATES
from rtrl_chem.data.make_pairs.files import write_tsv_gz
from rtrl_chem.data.make_pairs.reactions import Reaction, Recipe, admit_block, generate

RECIPE = Recipe()
# Shares in per mille of the hash range. RL needs only products, so most of them go without a label.
SPLITS = {"test": 60, "validation": 40, "labelled": 300, "unlabelled": 600}


def split_of(product: str) -> str:
    """The split of a canonical product SMILES: a function of the string alone."""
    point = int.from_bytes(hashlib.sha256(b"rtrl-chem/reaction/" + product.encode()).digest()[:8], "big") % 1000
    for name, share in SPLITS.items():
        if point < share:
            return name
        point -= share
    raise AssertionError("the shares add up to 1000")


def write_splits(reactions: list[Reaction], out: Path) -> dict[str, int]:
    """Write one gzipped table per split; returns their numbers of rows."""
    counts = {}
    for split in SPLITS:
        chosen = [r for r in reactions if split_of(r.product) == split]
        counts[split] = len(chosen)
        if split == "unlabelled":
            write_tsv_gz(out / f"{split}.tsv.gz", ["product"], [[r.product] for r in chosen])
        else:
            rows = [[r.reactants, r.product, r.template] for r in chosen]
            write_tsv_gz(out / f"{split}.tsv.gz", ["reactants", "product", "template"], rows)
    return counts


def main() -> None:
    """Run the build and write the four splits and `manifest.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    raw = read_chemicals()
    with rdBase.BlockLogs():
        blocks = sorted({smiles for smiles, _ in map(admit_block, raw) if smiles})
        reactions, pool_sizes = generate(blocks, RECIPE)
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
        "cap_per_template": RECIPE.cap,
        "seed": RECIPE.seed,
        "versions": {p: version(p) for p in ("chemicals", "rdkit")},
        "command": "python scripts/build_reaction_data.py --out rtrl_chem/assets/reaction",
    }
    (args.out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    print(json.dumps(manifest, indent=2))


if __name__ == "__main__":
    main()

"""Build the bundled chemistry-aware tokenizer: SMILES by atom, IUPAC names by morpheme.

One regular expression cuts any text first: bracket atoms, two-letter halogens and single SMILES characters stay whole,
runs of letters that only a name can hold ("methylbenzene") are left for byte-pair merges, which are learned on the
labelled names alone. So a SMILES costs one token an atom, bond or ring digit, a name about one token a morpheme.

    python scripts/build_tokenizer.py --data rtrl_chem/assets/naming --out rtrl_chem/assets/tiny
"""

import argparse
import gzip
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

TAGS = ["<SMILES>", "<IUPAC>", "<REACTANTS>", "<PRODUCT>"]
PIECES = "|".join(
    [
        r"\[\d*(?:[A-Z][a-z]?|[a-z]{1,2})@{0,2}H?\d*[+-]?\d*\]",  # a bracket atom
        r"Br|Cl|Si|@@",
        r"[bcnops](?=[bcnops]*(?![a-z]))",  # aromatic atoms: a run of them that is no part of a word
        r"[a-z]+",  # a word of a name
        r"\)?-\(?",  # hyphens of a name with the brackets they touch
        r".",
    ]
)


def characters() -> list[str]:
    """Every printable ASCII character: any SMILES or name can be written, if slowly."""
    return [chr(c) for c in range(33, 127)] + [" "]


def build(names: list[str], smiles: list[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Learn the merges and wrap them as a `transformers` tokenizer."""
    raw = Tokenizer(models.BPE(unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(PIECES), behavior="isolated")
    raw.decoder = decoders.Fuse()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<pad>", "<eos>", "<unk>"],
        initial_alphabet=characters(),
        min_frequency=4,
        show_progress=False,
    )
    raw.train_from_iterator(names + smiles, trainer)
    raw.add_tokens([AddedToken(tag, normalized=False) for tag in TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
        model_max_length=256,
        clean_up_tokenization_spaces=False,
    )


def main() -> None:
    """Train on the labelled split and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--vocab-size", type=int, default=720)
    args = parser.parse_args()
    with gzip.open(args.data / "labelled.tsv.gz", "rt", encoding="utf8") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines][1:]
    tokenizer = build([r[1] for r in rows], [r[0] for r in rows], args.vocab_size)
    for text in [t for row in rows for t in row]:
        if tokenizer.decode(tokenizer(text)["input_ids"]) != text:
            raise SystemExit(f"the tokenizer loses {text!r}")
    tokenizer.save_pretrained(args.out)
    lengths = [[len(tokenizer(r[i])["input_ids"]) for r in rows] for i in (0, 1)]
    smiles, name = (sum(of_column) / len(rows) for of_column in lengths)
    print(f"{len(tokenizer)} tokens; mean length SMILES {smiles:.1f}, name {name:.1f}")


if __name__ == "__main__":
    main()

"""Unlabelled corpora, labelled pairs and splits."""

from rtrl_chem.data.bundled import bundled_names, bundled_path
from rtrl_chem.data.corpus import Corpus, Reject, read_corpus, write_rejects
from rtrl_chem.data.pairs import Pairs, read_pairs
from rtrl_chem.data.splits import hash_split, murcko_scaffold, scaffold_split

__all__ = [
    "Corpus",
    "Pairs",
    "Reject",
    "bundled_names",
    "bundled_path",
    "hash_split",
    "murcko_scaffold",
    "read_corpus",
    "read_pairs",
    "scaffold_split",
    "write_rejects",
]

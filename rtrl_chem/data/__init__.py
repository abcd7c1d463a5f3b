"""Unlabelled corpora, labelled pairs and splits."""

from rtrl_chem.data.bundled import bundled_names, bundled_path
from rtrl_chem.data.corpus import Corpus, Reject, read_corpus, stream_corpus, write_rejects
from rtrl_chem.data.pairs import Pairs, read_pairs
from rtrl_chem.data.prepared import PreparedCorpus, is_prepared, open_prepared
from rtrl_chem.data.splits import hash_split, murcko_scaffold, scaffold_split

__all__ = [
    "Corpus",
    "Pairs",
    "PreparedCorpus",
    "Reject",
    "bundled_names",
    "bundled_path",
    "hash_split",
    "is_prepared",
    "murcko_scaffold",
    "open_prepared",
    "read_corpus",
    "read_pairs",
    "scaffold_split",
    "stream_corpus",
    "write_rejects",
]

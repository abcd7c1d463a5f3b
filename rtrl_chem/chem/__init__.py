"""Chemistry on SMILES strings: validity, equality, similarity, leaks, names. RDKit, no torch; no state but caches."""

from rtrl_chem.chem.leakage import Leak, find_leak, find_leak_batch, is_copy, is_copy_batch
from rtrl_chem.chem.molecule import (
    EQUALITIES,
    Molecule,
    cache_info,
    canonical,
    canonical_batch,
    clear_cache,
    equal,
    equal_batch,
    fragments,
    invalid_reason,
    parse,
    parse_batch,
    stereo_free,
)
from rtrl_chem.chem.naming import Opsin
from rtrl_chem.chem.similarity import FINGERPRINTS, tanimoto

__all__ = [
    "EQUALITIES",
    "FINGERPRINTS",
    "Leak",
    "Molecule",
    "Opsin",
    "cache_info",
    "canonical",
    "canonical_batch",
    "clear_cache",
    "equal",
    "equal_batch",
    "find_leak",
    "find_leak_batch",
    "fragments",
    "invalid_reason",
    "is_copy",
    "is_copy_batch",
    "parse",
    "parse_batch",
    "stereo_free",
    "tanimoto",
]

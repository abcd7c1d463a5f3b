from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem, DataStructs
from rdkit.Chem import rdMolDescriptors

from rtrl_chem.chem.similarity import FINGERPRINTS, tanimoto

MOLECULES = ["CC(=O)Oc1ccccc1C(=O)O", "OC(=O)c1ccccc1O", "CN1C=NC2=C1C(=O)N(C)C(=O)N2C", "CCO", "[Na+].[O-]C(=O)C"]

molecules = st.sampled_from(MOLECULES)


@given(molecules, molecules, st.sampled_from(FINGERPRINTS))
def test_similarity_is_symmetric_and_one_for_the_same_molecule(a: str, b: str, fingerprint: str) -> None:
    there, back, same = tanimoto([(a, b), (b, a), (a, a)], fingerprint)
    assert there is not None and there == back and 0.0 <= there <= 1.0
    assert same == 1.0


@pytest.mark.parametrize("smiles", ["C", "[He]", "C#C", "C1CC1", "[Na+].[Cl-]", "[SiH2]1[SiH2][SiH2]1", "CCO"])
@pytest.mark.parametrize(
    ("fingerprint", "make"),
    [
        pytest.param("maccs", rdMolDescriptors.GetMACCSKeysFingerprint, id="maccs"),
        pytest.param("rdkit", Chem.RDKFingerprint, id="rdkit"),
    ],
)
def test_a_molecule_is_as_like_itself_as_rdkit_says(fingerprint: str, make: Any, smiles: str) -> None:
    bits = make(Chem.MolFromSmiles(smiles))
    assert tanimoto([(smiles, smiles)], fingerprint) == [DataStructs.TanimotoSimilarity(bits, bits)]


@pytest.mark.parametrize("fingerprint", FINGERPRINTS)
def test_spelling_does_not_matter_and_structure_does(fingerprint: str) -> None:
    same, near, far = tanimoto(
        [("OCC", "CCO"), (MOLECULES[0], MOLECULES[1]), (MOLECULES[0], MOLECULES[2])], fingerprint
    )
    assert same == 1.0
    assert near is not None and far is not None and 1.0 > near > far


@pytest.mark.parametrize("fingerprint", FINGERPRINTS)
def test_an_invalid_molecule_has_no_similarity(fingerprint: str) -> None:
    pairs = [("CCO", ""), ("ethanol", "CCO"), ("CCO", "CCO")]
    assert tanimoto(pairs, fingerprint) == [None, None, 1.0]


def test_rdkit_fingerprint_is_the_classic_one() -> None:
    a, b = MOLECULES[:2]
    classic = DataStructs.TanimotoSimilarity(*(Chem.RDKFingerprint(Chem.MolFromSmiles(smiles)) for smiles in (a, b)))
    assert tanimoto([(a, b)], "rdkit") == [classic]


def test_unknown_fingerprint_is_refused() -> None:
    with pytest.raises(ValueError, match="maccs, rdkit, morgan"):
        tanimoto([], "ecfp")


@pytest.mark.parametrize(
    ("fingerprint", "expected"), [("maccs", 0.8895857968), ("rdkit", 0.8073706298), ("morgan_counts", 0.7488262697)]
)
def test_means_are_those_of_the_molt5_scripts(shared_data: Path, fingerprint: str, expected: float) -> None:
    with (shared_data / "golden/molt5-large-caption2smiles-public.tsv").open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    values = [value for value in tanimoto(((row[1], row[2].strip()) for row in rows), fingerprint) if value is not None]
    assert sum(values) / len(values) == pytest.approx(expected, abs=1e-9)

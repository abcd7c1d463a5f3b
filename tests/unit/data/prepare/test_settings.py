"""Settings are checked as a whole; a misspelt key is named with its nearest."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtrl_chem.data.prepare.settings import Settings, load_settings
from rtrl_chem.errors import ConfigError


def test_overrides_go_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "prepare.yaml"
    path.write_text("dedup: inchikey\nsplit: {method: scaffold, shares: {train: 0.5, test: 0.5}}\n")
    settings = load_settings(path, ["dedup=stereo_free", "filter.elements=[C, Cl]"])
    assert (settings.dedup, settings.filter.elements, settings.split.shares["test"]) == (
        "stereo_free",
        ("C", "Cl"),
        0.5,
    )


def test_nothing_changes_a_molecule_by_default() -> None:
    assert Settings().changes == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dedupe=inchikey", "dedupe: unknown key; did you mean 'dedup'?"),
        ("filter.max_heavy_atom=3", "filter.max_heavy_atom: unknown key; did you mean 'max_heavy_atoms'?"),
        ("dedup=inchi", "dedup: got 'inchi', must be 'canonical', 'inchikey'"),
        ("filter.elements=[Cx1]", "got 'Cx1', must be an element's symbol"),
        ("filter.elements=[C, Xx]", "got 'Xx', must be an element's symbol"),
        ("filter.elements=[]", "filter: elements: is empty"),
        ("filter.max_tokens=100", "filter: max_tokens and tokenizer need each other"),
        ("split.shares={train: 0.5}", "must be positive and sum to 1"),
        ("split.shares={train: 0.5, valid: 0.5}", "got 'valid', must be shares of train, validation, test"),
        ("rows_per_shard=0", "rows_per_shard: got 0"),
    ],
)
def test_a_wrong_setting_is_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, [override])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["filter.min_heavy_atoms=9", "filter.max_heavy_atoms=2"], "min_heavy_atoms: got 9, must not be above"),
        (["filter.min_weight=99.5", "filter.max_weight=2"], "min_weight: got 99.5, must not be above max_weight, 2"),
        (["domain=reaction", "standardize.uncharge=true"], "standardize.uncharge: is for molecules"),
        (["canonicalize=false", "standardize.tautomer=true"], "canonicalize: must be true with standardize.tautomer"),
    ],
)
def test_what_does_not_go_together_is_said(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_settings(None, overrides)

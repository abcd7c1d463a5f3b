"""Scores of prose: from the libraries where they are, left out with a reason where not."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtrl_chem.evaluation.metrics import captions, tokens
from rtrl_chem.evaluation.metrics.score import estimate
from rtrl_chem.prose import rouge

TARGETS = ["The molecule is a monocarboxylic acid.", "It derives from an acetic acid."]


def values(outputs: list[str], reading: captions.Reading) -> dict[str, float]:
    found = estimate(captions.scores(captions.statistics(outputs, TARGETS, reading), reading), resamples=20)
    return {name: one.value for name, one in found.items()}


def test_the_target_itself_scores_one() -> None:
    found = values(TARGETS, captions.prepare())
    assert {"bleu2", "bleu4"} <= set(found)
    assert all(value == pytest.approx(1.0, abs=0.01) for value in found.values())


def test_an_empty_answer_scores_zero_and_counts() -> None:
    found = values(["", TARGETS[1]], captions.prepare())
    assert all(0 < value < 1 for value in found.values())
    assert all(value == 0 for value in values(["", ""], captions.prepare()).values())


@pytest.mark.parametrize(
    ("absent", "lost"),
    [
        pytest.param("rouge_score", {"rouge1", "rouge2", "rougeL"}, id="no rouge-score"),
        pytest.param("nltk", {"meteor"}, id="no nltk"),
    ],
)
def test_a_missing_package_costs_its_own_scores(absent: str, lost: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    find = captions.find_spec
    for module in (captions, rouge):
        monkeypatch.setattr(module, "find_spec", lambda name: None if name == absent else find(name))
    reading = captions.prepare()
    assert lost <= set(dict(reading.missing))
    assert all("pip install" in dict(reading.missing)[name] for name in lost)
    assert {"bleu2", "bleu4"} <= set(values(TARGETS, reading)).difference(lost)


def test_word_pieces_are_those_of_the_vocabulary(tmp_path: Path) -> None:
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nacet\n##ic\nacid\n.\n", encoding="utf-8")
    assert tokens.word_pieces("Acetic acid.", vocabulary) == ("acet", "##ic", "acid", ".")
    assert tokens.word_pieces("acid acid acid", vocabulary, limit=2) == ("acid", "acid")


def test_the_vocabulary_beside_the_predictions_is_found(tmp_path: Path) -> None:
    (tmp_path / "scibert_vocab.txt").write_text("[UNK]\n", encoding="utf-8")
    assert tokens.find_vocabulary(None, tmp_path) == tmp_path / "scibert_vocab.txt"

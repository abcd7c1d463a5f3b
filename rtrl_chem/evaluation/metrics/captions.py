"""Outputs that are prose, against one reference each.

BLEU is counted in `prose.bleu`, ROUGE comes from `rouge_score`, METEOR from nltk with WordNet: the libraries that the
field's reference scripts use. Without them their scores are left out with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtrl_chem.evaluation.metrics import tokens, wordnet
from rtrl_chem.evaluation.metrics.score import Score, Unavailable, mean_score
from rtrl_chem.prose import bleu, rouge
from rtrl_chem.prose.rouge import ROUGE

__all__ = ["ROUGE", "Reading", "prepare", "scores", "statistics"]

Array = NDArray[np.float64]

_COUNTS = 2 * bleu.MAX_ORDER + 2


@dataclass(frozen=True)
class Reading:
    """How captions are read: `vocabulary` None means words, else BERT word pieces; `wordnet` as in `wordnet.load`.

    `missing` gives the reason for each metric that cannot be measured. Of plain data, so that it travels to workers.
    """

    vocabulary: Path | None = None
    wordnet: Path | None = None
    missing: tuple[tuple[str, str], ...] = ()

    def tokens(self, text: str) -> tuple[str, ...]:
        """The tokens that BLEU and METEOR compare."""
        return tokens.words(text) if self.vocabulary is None else tokens.word_pieces(text, self.vocabulary)


def prepare(vocabulary: Path | None = None, wordnet_folder: Path | None = None) -> Reading:
    """A reading that has looked for its packages and for WordNet."""
    missing: dict[str, str] = {}
    if not rouge.available():
        missing |= dict.fromkeys(ROUGE, "the package rouge-score is not installed: pip install 'rtrl-chem[metrics]'")
    if find_spec("nltk") is None:
        missing["meteor"] = "the package nltk is not installed: pip install 'rtrl-chem[metrics]'"
    else:
        try:
            wordnet.find_folder(wordnet_folder)
        except Unavailable as reason:
            missing["meteor"] = str(reason)
    return Reading(vocabulary, wordnet_folder, tuple(missing.items()))


def statistics(outputs: Sequence[str], targets: Sequence[str], reading: Reading) -> Array:
    """What `scores` needs of each of n rows, (n, 14): BLEU's counts, ROUGE-1, -2 and -L, METEOR (0 where missing)."""
    missing = dict(reading.missing)
    overlap = _no_rouge if "rouge1" in missing else rouge.f_measures
    meteor = _no_meteor if "meteor" in missing else partial(_meteor, reading.wordnet)
    rows = [_row(o, t, reading, overlap, meteor) for o, t in zip(outputs, targets, strict=True)]
    return np.array(rows, dtype=np.float64).reshape(-1, _COUNTS + len(ROUGE) + 1)


def scores(rows: Array, reading: Reading) -> list[Score]:
    """Every metric of captions from `statistics` (n, 14); all rows count, an empty output scores 0.

    - `bleu2`, `bleu4`: corpus BLEU (Papineni et al. 2002) over tokens, one reference, no smoothing.
    - `rouge1`, `rouge2`, `rougeL`: mean F-measure (Lin 2004), rouge_score's own tokens, no stemming.
    - `meteor`: mean METEOR (Lavie and Agarwal 2007) over tokens: exact, stem and WordNet matches; alpha 0.9, beta 3,
      gamma 0.5.
    """
    counts = rows[:, :_COUNTS]
    found = [_bleu(counts, orders) for orders in (2, 4)]
    found += [
        mean_score(name, f"{label}, F-measure", rows[:, _COUNTS + i], unit="similarity")
        for i, (name, label) in enumerate(ROUGE.items())
    ]
    found.append(mean_score("meteor", "METEOR", rows[:, -1], unit="similarity"))
    missing = dict(reading.missing)
    return [score for score in found if score.name not in missing]


def _bleu(counts: Array, orders: int) -> Score:
    combine = partial(bleu.combine, orders=orders)
    return Score(f"bleu{orders}", f"BLEU-{orders}", counts, combine, combine(counts), len(counts), unit="similarity")


def _row(
    output: str,
    target: str,
    reading: Reading,
    overlap: Callable[[str, str], list[float]],
    meteor: Callable[[tuple[str, ...], tuple[str, ...]], float],
) -> list[float]:
    hypothesis, reference = reading.tokens(output), reading.tokens(target)
    return [*bleu.counts(hypothesis, reference), *overlap(output, target), meteor(hypothesis, reference)]


def _no_rouge(output: str, target: str) -> list[float]:
    return [0.0] * len(ROUGE)


def _no_meteor(hypothesis: tuple[str, ...], reference: tuple[str, ...]) -> float:
    return 0.0


def _meteor(folder: Path | None, hypothesis: tuple[str, ...], reference: tuple[str, ...]) -> float:
    from nltk.translate.meteor_score import single_meteor_score

    return float(single_meteor_score(reference, hypothesis, stemmer=_Stemmer(), wordnet=wordnet.load(folder)))


class _Stemmer:
    """Porter's stemmer with a memory: captions repeat their words."""

    def stem(self, word: str) -> str:
        return _stem(word)


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    return str(_porter().stem(word))


@lru_cache(maxsize=1)
def _porter() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()

"""How a caption becomes tokens: words by default, a BERT vocabulary's word pieces where a dialect or a user says so."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from rtrl_chem.errors import ConfigError
from rtrl_chem.evaluation.metrics.score import Unavailable
from rtrl_chem.prose.words import words

__all__ = ["SCIBERT", "find_vocabulary", "word_pieces", "words"]

SCIBERT = "allenai/scibert_scivocab_uncased"
_VOCABULARY_NAMES = ("scibert_vocab.txt", "vocab.txt")


def word_pieces(text: str, vocabulary: Path, limit: int = 512) -> tuple[str, ...]:
    """The first `limit` uncased BERT word pieces of a text under a `vocab.txt`, without [CLS] and [SEP]."""
    return tuple(_tokenizer(vocabulary).encode(text, add_special_tokens=False).tokens[:limit])


def find_vocabulary(given: Path | None, beside: Path | None = None) -> Path:
    """SciBERT's vocabulary: the file given, one in the folder `beside`, the Hub's copy (from its cache if there).

    ConfigError if the file given is none; `Unavailable`, with what to do, if there is no other.
    """
    if given is not None:
        if not given.is_file():
            raise ConfigError(f"no file {str(given)!r}: --vocab must be a BERT vocabulary, the vocab.txt of {SCIBERT}")
        return given
    for name in _VOCABULARY_NAMES if beside else ():
        if beside and (beside / name).is_file():
            return beside / name
    return _from_hub()


def _from_hub() -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(SCIBERT, "vocab.txt"))
    except Exception as error:  # the Hub's client raises everything from OSError to ValueError
        raise Unavailable(
            f"the word pieces of {SCIBERT} cannot be had from the Hub ({type(error).__name__}): "
            "give its vocab.txt with --vocab"
        ) from None


@lru_cache(maxsize=2)
def _tokenizer(vocabulary: Path):  # type: ignore[no-untyped-def]  # tokenizers ships no types
    from tokenizers import BertWordPieceTokenizer

    return BertWordPieceTokenizer(str(vocabulary), lowercase=True)

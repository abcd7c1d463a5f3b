"""WordNet's own file format, on a few lines of it and, where it is installed, on all."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtrl_chem.evaluation.metrics import wordnet
from rtrl_chem.evaluation.metrics.score import Unavailable

LICENCE = "  1 This software and database is WordNet 3.0 Copyright 2006  \n"


def write_wordnet(folder: Path, line_end: str = "\n") -> Path:
    """Two noun synsets: mouse/shiner, and computer_mouse/mouse."""
    synsets = ["{:08d} 06 n 02 mouse 0 shiner 0 000 | one\n", "{:08d} 06 n 02 computer_mouse 0 mouse 1 000 | two\n"]
    data, offsets = LICENCE, []
    for synset in synsets:
        offsets.append(len(data))
        data += synset.format(len(data))
    index = LICENCE + f"mouse n 2 0 2 0 {offsets[0]:08d} {offsets[1]:08d}\n"
    files = {f"{kind}.{name}": LICENCE for name in ("verb", "adj", "adv") for kind in ("data", "index")}
    files |= {f"{name}.exc": "" for name in ("verb", "adj", "adv")}
    files |= {"data.noun": data, "index.noun": index, "noun.exc": "mice mouse\n"}
    for name, text in files.items():
        (folder / name).write_bytes(text.replace("\n", line_end).encode())
    return folder


def synonyms(net: wordnet.WordNet, word: str) -> list[list[str]]:
    return [[lemma.name() for lemma in synset.lemmas()] for synset in net.synsets(word)]


@pytest.mark.parametrize("line_end", [pytest.param("\n", id="LF"), pytest.param("\r\n", id="CRLF, as in the package")])
@pytest.mark.parametrize(
    ("word", "expected"),
    [
        pytest.param("mouse", [["mouse", "shiner"], ["computer_mouse", "mouse"]], id="as it is"),
        pytest.param("Mouses", [["mouse", "shiner"], ["computer_mouse", "mouse"]], id="by rule"),
        pytest.param("mice", [["mouse", "shiner"], ["computer_mouse", "mouse"]], id="by exception"),
        pytest.param("keyboard", [], id="unknown"),
        pytest.param("", [], id="empty"),
    ],
)
def test_synsets(tmp_path: Path, line_end: str, word: str, expected: list[list[str]]) -> None:
    net = wordnet.WordNet(write_wordnet(tmp_path, line_end))
    assert synonyms(net, word) == expected
    assert net.version == "3.0"


def test_a_folder_without_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="holds no WordNet"):
        wordnet.find_folder(tmp_path)


def test_the_folder_of_wordnets_own_variable_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WNSEARCHDIR", str(write_wordnet(tmp_path)))
    assert wordnet.find_folder() == tmp_path


def test_none_anywhere_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordnet, "_usual_places", lambda: iter(()))
    with pytest.raises(Unavailable, match="WNSEARCHDIR"):
        wordnet.find_folder()


def test_the_installed_one_knows_words() -> None:
    try:
        net = wordnet.load()
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert {"ethyl_alcohol", "fermentation_alcohol"} <= {name for names in synonyms(net, "ethanols") for name in names}

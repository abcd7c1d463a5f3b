"""The page stands alone, shows everything, and escapes what it shows; it was looked at in a browser as well."""

from __future__ import annotations

import gzip
import json
import random
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rtrl_chem.data.inspect import Count, Histogram, Options, Overlap
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.reporting import inspect_corpus, plots
from rtrl_chem.reporting.drawings import draw
from rtrl_chem.reporting.inspect_corpus import Request
from rtrl_chem.reporting.inspection_page import headlines, percent
from rtrl_chem.reporting.plots import svg

pytest.importorskip("matplotlib")


class Page(HTMLParser):
    """Collects tags, addresses and the words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "data", "action"):
                self.addresses.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(autouse=True)
def _no_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect_corpus, "benchmark_structures", lambda *args: [])


def look(tmp_path: Path, content: str, task: str, tokenizer: str | None = None) -> tuple[Page, str, Path]:
    path = tmp_path / "in.tsv"
    path.write_text(content)
    options = Options(processes=1, tokenizer=tokenizer, max_tokens=20 if tokenizer else None)
    inspect_corpus.inspect_corpus(Request(str(path), task, out=tmp_path / "out", options=options))
    text = (tmp_path / "out" / "inspect.html").read_text(encoding="utf-8")
    return Page(text), text, tmp_path / "out"


CAPTIONS = """SMILES\tdescription
CCO\tIt is an alcohol.
CCO\t<script>alert(1)</script> & a ketone
bad\t<img src=x>
"""


def test_the_page_loads_nothing_and_escapes_everything(tmp_path: Path) -> None:
    page, text, out = look(tmp_path, CAPTIONS, task="captioning")
    assert all(address.startswith("#") for address in page.addresses)
    assert not {"script", "img", "link", "iframe", "object", "image"}.intersection(page.tags)
    assert "@import" not in text and not re.search(r"url\((?!#)", text)
    assert "<script>alert(1)</script> & a ketone" in page.words
    assert sorted(path.name for path in out.iterdir()) == ["inspect.html", "inspect.json", "plots.png"]


def test_the_page_shows_what_the_json_holds(tmp_path: Path) -> None:
    page, _, out = look(tmp_path, CAPTIONS, task="captioning", tokenizer="bundled:tiny")
    record = json.loads((out / "inspect.json").read_text())
    for section in record["sections"].values():
        assert section["title"] in page.words
        for count in section["counts"]:
            assert count["label"] in page.words
            assert not count["count"] or f"{count['count']:,} of {count['of']:,}" in page.words
    plotted = sum(bool(h["counts"]) for section in record["sections"].values() for h in section["histograms"])
    drawn = 2
    assert page.tags.count("svg") == plotted + drawn
    assert "Text claims a functional group that its molecule lacks: 33.3% (1 of 3 rows)" in page.words
    assert "over 20 tokens" in page.words


def test_reactions_are_drawn(tmp_path: Path) -> None:
    page, _, _ = look(tmp_path, "reactants\tproduct\nCCO.CC(=O)O\tCCOC(C)=O\n", task="reaction")
    assert "row 2 · CC(=O)O.CCO>>CCOC(C)=O" in page.words


@pytest.mark.parametrize(
    ("histogram", "words"),
    [
        pytest.param(Histogram("k", "sizes", "atoms", 5, {3: 4, 9: 1}), "sizes", id="numbers"),
        pytest.param(Histogram("k", "one size", "atoms", 4, {7: 4}), "one size", id="one value"),
        pytest.param(Histogram("k", "tail", "atoms", 10_001, {1: 10_000, 9_999: 1}), "tail", id="a long tail"),
        pytest.param(Histogram("k", "a & <b>", "$x", 4, {"<i>": 4}, categories=True), "a &amp; &lt;b&gt;", id="tags"),
        pytest.param(Histogram("k", "tokens", "tokens", 9, {3: 4, 90: 5}, limit=50), "tokens", id="a limit"),
    ],
)  # fmt: skip
def test_any_histogram_can_be_plotted(histogram: Histogram, words: str) -> None:
    found = svg(histogram)
    assert found.startswith("<svg") and f'aria-label="{words}, histogram"' in found
    assert found == svg(histogram)


@pytest.mark.parametrize(
    ("smiles", "drawn"),
    [("CCO", True), ("CCO>>CC=O", True), ("C" * 300, True), ("bad", False)],
    ids=["molecule", "reaction", "chain", "no molecule"],
)
def test_draw(smiles: str, drawn: bool) -> None:
    found = draw(smiles)
    assert (found is not None) is drawn
    assert found is None or found.startswith("<svg")


@pytest.mark.parametrize(
    ("count", "of", "text"),
    [
        (0, 10, "0%"),
        (1, 10, "10.0%"),
        (10, 10, "100.0%"),
        (1, 10**6, "<0.01%"),
        (10**6 - 1, 10**6, ">99.99%"),
        (0, 0, "0%"),
    ],
)
def test_percent_never_hides_what_is_there(count: int, of: int, text: str) -> None:
    assert percent(Count("key", "label", count, of)) == text


def test_a_truncated_archive_is_reported_as_far_as_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(0)
    lines = ["".join(chance.choices("CNO", k=30)) for _ in range(2_000)]
    packed = gzip.compress("\n".join(lines).encode())
    path = tmp_path / "cut.smi.gz"
    path.write_bytes(packed[: len(packed) // 2])
    request = Request(str(path), out=tmp_path / "out", options=Options(processes=1, sample=10))
    with pytest.raises(CorpusError, match=r"cut\.smi\.gz is a truncated archive .* rows that could be read"):
        inspect_corpus.inspect_corpus(request)
    record = json.loads((tmp_path / "out" / "inspect.json").read_text())
    assert 0 < record["rows"] < len(lines)
    assert "is a truncated archive" in record["problem"]
    assert "is a truncated archive" in Page((tmp_path / "out" / "inspect.html").read_text(encoding="utf-8")).words
    assert f"{record['rows']:,} rows" in capsys.readouterr().out


def test_the_worst_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "in.smi"
    path.write_text("bad\nCCO\nCCO\nCCC\n")
    found = inspect_corpus.inspect_corpus(Request(str(path), options=Options(processes=1)))
    found = type(found)(**{**vars(found), "overlaps": (Overlap("suite", molecules=9, found=2, by_text=1, of=4),)})
    assert headlines(found) == [
        "Invalid: 25.0% (1 of 4 rows, molecule)",
        "Duplicate text: 25.0% (1 of 4 rows)",
        "2 of 9 molecules of the suite suite are in here",
    ]


def test_the_extra_is_named_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"--out needs matplotlib and Jinja2: pip install 'rtrl-chem\[report\]'"):
        inspect_corpus.inspect_corpus(Request("no such file", out=tmp_path / "out"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": Options(max_tokens=5)}, "--max-tokens 5: needs --tokenizer"),
        ({"benchmarks": Path("nowhere")}, "--benchmarks nowhere: no such folder"),
    ],
    ids=["limit without tokenizer", "benchmarks"],
)
def test_a_wrong_call(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        inspect_corpus.inspect_corpus(Request("a.smi", **change))  # type: ignore[arg-type]

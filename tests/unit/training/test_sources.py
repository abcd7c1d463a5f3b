"""What a phase trains on: the corpus of its direction, pairs, or both; nothing of a model is needed to tell."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from rtrl_chem.config import Config, config_from_mapping
from rtrl_chem.data.corpus import Admitted
from rtrl_chem.data.pool import Column, Mixture, PairColumns
from rtrl_chem.data.stream import Stream
from rtrl_chem.errors import CorpusError
from rtrl_chem.evaluation.held_out import TrainingItems
from rtrl_chem.training.phase import plan
from rtrl_chem.training.sources import pairs_for, sources_for

MOLECULES = tuple("C" * n for n in range(1, 41))
PAIRS = (("C", "methane"), ("CC", "ethane"), ("O", "water"))


def make_config(**data: Any) -> Config:
    return config_from_mapping(
        {
            "task": "naming",
            "model": {"path": "unused"},
            "data": {"molecules": "unused.smi"} | data,
            "rounds": 4,
            "output_dir": "unused",
        }
    )


def column(texts: tuple[str, ...]) -> Column:
    return Column(pa.chunked_array([pa.array(texts)]))


def drawn(items: TrainingItems, count: int = 10, **data: Any) -> list[tuple[list[str], str]]:
    """Sources and their origin for each forward phase of a run."""
    config = make_config(**data)
    phases = [phase for phase in plan(config) if phase.direction == "forward"]
    policy = reverse = Any  # never looked at: there is a corpus
    found = [sources_for(policy, config, items, phase, count, reverse) for phase in phases]
    return [(one.items, one.origin) for one in found]


ON_DISK = PairColumns(column(("C", "C", "O")), column(("methane", "marsh gas", "water")))
MIXED: Mixture[str] = Mixture((("N", "P"), column(MOLECULES)), (3.0, 1.0), ("a.smi", "corpus"))
STREAM = Stream("x.smi", lambda: (Admitted(text) for text in MOLECULES), 5)


@pytest.mark.parametrize(
    ("items", "sources", "origin"),
    [
        pytest.param(TrainingItems(MOLECULES, pairs=PAIRS), {*MOLECULES, "O"}, "corpus of 41", id="a file and pairs"),
        pytest.param(TrainingItems(pairs=PAIRS), {"C", "CC", "O"}, "corpus of 3", id="pairs alone"),
        pytest.param(
            TrainingItems(column(MOLECULES), pairs=PAIRS), {*MOLECULES}, "corpus of 40", id="on disk, beside pairs"
        ),
        pytest.param(TrainingItems(pairs=ON_DISK), {"C", "O"}, "corpus of 3", id="pairs on disk"),
        pytest.param(
            TrainingItems(MIXED), {*MOLECULES, "N", "P"}, "mixture of 75.0% a.smi (2); 25.0% corpus (40)", id="mixture"
        ),
        pytest.param(TrainingItems(STREAM), {*MOLECULES}, "stream of x.smi: 200 rows read", id="stream"),
    ],
)
def test_the_sources_of_a_run(items: TrainingItems, sources: set[str], origin: str) -> None:
    found = drawn(items, count=50)
    assert {source for taken, _ in found for source in taken} == sources
    assert all(len(taken) == 50 for taken, _ in found)
    assert found[-1][1] == origin


@pytest.mark.parametrize("pool", [MOLECULES, column(MOLECULES), MIXED], ids=["file", "on disk", "mixture"])
def test_a_curriculum_goes_from_short_to_long_over_the_phases_of_a_direction(pool: Any) -> None:
    graded = [source for taken, _ in drawn(TrainingItems(pool), curriculum="length") for source in taken]
    plain = [source for taken, _ in drawn(TrainingItems(pool)) for source in taken]
    assert graded == sorted(plain, key=len)


def test_pairs_in_memory_are_all_there_and_those_on_disk_take_turns() -> None:
    config = make_config()
    phases = [phase for phase in plan(config) if phase.direction == "forward"]
    assert pairs_for(config, TrainingItems(pairs=PAIRS), phases[0], 2) == list(PAIRS)
    many = PairColumns(column(MOLECULES), column(tuple(f"alkane {len(x)}" for x in MOLECULES)))
    taken = [pairs_for(config, TrainingItems(pairs=many), phase, 10) for phase in phases]
    assert sorted(pair for phase in taken for pair in phase) == sorted(many)


def test_no_corpus_for_either_direction() -> None:
    with pytest.raises(CorpusError, match="no sources for the forward direction"):
        drawn(TrainingItems())

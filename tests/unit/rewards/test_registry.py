"""What every term promises: a value for each sample that depends on nothing else, and is never below the floor."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrl_chem.models.reverse import Score
from rtrl_chem.rewards import referee
from rtrl_chem.rewards.options import OPTIONS
from rtrl_chem.rewards.registry import TERMS
from rtrl_chem.rewards.terms import Batch
from rtrl_chem.tasks import TASKS, Direction

MOLECULES = st.sampled_from(
    ["CCO", "OCC", "c1ccccc1", "CC(=O)O.CCN", "C[C@H](N)C(=O)O", "[Na+].[Cl-]", "not one", "C1CC"]
)
TEXTS = (
    st.sampled_from(["ethanol", "benzene", "It is an alcohol.", "A ketone, C2H6O.", "", "(()", "x" * 500]) | st.text()
)


class Reverse:
    """Scores and reconstructions by the letters of the texts: any will do, if they are always the same."""

    def log_likelihood(self, sources: Sequence[str], outputs: Sequence[str]) -> list[Score]:
        return [
            Score(-(zlib.crc32(f"{x}|{y}".encode()) % 1000) / 7, len(x) + 1)
            for x, y in zip(sources, outputs, strict=True)
        ]

    def prior(self, sources: Sequence[str]) -> list[Score]:
        return self.log_likelihood(sources, [""] * len(sources))

    def reconstruct(self, outputs: Sequence[str], count: int, temperature: float) -> list[list[str]]:
        written = ("CCO", "ethanol", "", "c1ccccc1")
        return [[written[(zlib.crc32(y.encode()) + i) % 4] for i in range(count)] for y in outputs]


class Opsin:
    def read(self, names: Sequence[str]) -> list[str | None]:
        return [{"ethanol": "CCO", "benzene": "c1ccccc1"}.get(name) for name in names]


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """A few samples of any task in either direction, all with labels; some come twice."""
    task, direction = draw(st.sampled_from(list(TASKS.values()))), draw(st.sampled_from(list(Direction)))
    xs, ys = (
        MOLECULES if domain.is_structure else TEXTS for domain in (task.source(direction), task.output(direction))
    )
    rows = draw(st.lists(st.tuples(xs, ys, ys), min_size=1, max_size=4))
    columns = tuple(zip(*(rows + rows[:1]), strict=True))
    return Batch(task, direction, *columns, Reverse())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(TERMS))
@settings(deadline=None, max_examples=40)  # the first one imports ROUGE
@given(batch=batches())
def test_a_value_is_of_the_sample_alone_and_at_least_the_floor(name: str, batch: Batch) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(referee.chem, "Opsin", Opsin)
        term = TERMS[name](OPTIONS[name]())
        values = list(term(batch))
        assert len(values) == len(batch)
        assert all(value is None or term.floor <= value < float("inf") for value in values)
        assert [term(batch.take([i]))[0] for i in range(len(batch))] == values
        assert list(term(batch.take(range(len(batch))[::-1]))) == values[::-1]


@pytest.mark.parametrize("name", list(TERMS))
@settings(deadline=None, max_examples=40)  # the first one imports ROUGE
@given(batch=batches())
def test_what_is_left_out_is_left_out_whatever_the_output(name: str, batch: Batch) -> None:
    """As `Term` promises: all outputs of a source, or none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(referee.chem, "Opsin", Opsin)
        left_out: dict[str, set[bool]] = {}
        for source, value in zip(batch.sources, TERMS[name](OPTIONS[name]())(batch), strict=True):
            left_out.setdefault(source, set()).add(value is None)
        assert all(len(found) == 1 for found in left_out.values())

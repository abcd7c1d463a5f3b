"""Held-out items: chosen by what they are, never by where they stand, and never trained on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.evaluation.held_out import Item, TrainingItems, build_held_out, split_held_out, take_by_hash
from rtrl_chem.tasks import Direction, Task

from .conftest import make_config

ALKANES = ["C" * n for n in range(1, 51)]
NAMES = [f"alkane {n}" for n in range(1, 51)]


def write_pairs(path: Path, rows: list[tuple[str, str]]) -> str:
    path.write_text("smiles\tname\n" + "".join(f"{left}\t{right}\n" for left, right in rows))
    return str(path)


def write_items(path: Path, items: list[str]) -> str:
    path.write_text("".join(f"{item}\n" for item in items))
    return str(path)


@given(st.lists(st.text(), min_size=2, max_size=60, unique=True), st.integers(1, 100), st.randoms())
def test_split_parts_the_items_and_ignores_their_order(items: list[str], size: int, rng: random.Random) -> None:
    held_out, training = split_held_out(items, size)
    shuffled = rng.sample(items, len(items))
    assert sorted(held_out + training) == sorted(items)
    assert 1 <= len(held_out) <= max(1, len(items) // 5)
    assert split_held_out(shuffled, size)[0] == held_out


def test_split_takes_the_size_and_keeps_the_order_of_the_rest() -> None:
    held_out, training = split_held_out(ALKANES, 7)
    assert len(held_out) == 7
    assert training == [item for item in ALKANES if item not in held_out]


def test_split_is_the_same_for_ever() -> None:
    assert [len(item) for item in split_held_out(ALKANES, 3)[0]] == [34, 41, 32]
    assert [len(item) for item in split_held_out(ALKANES, 3, seed=1)[0]] != [34, 41, 32]


def test_new_items_move_at_most_as_many_old_ones() -> None:
    held_out, _ = split_held_out(ALKANES, 10)
    grown, _ = split_held_out([*ALKANES, "CCO", "CCN"], 10)
    assert len(set(held_out) - set(grown)) <= 2


@pytest.mark.parametrize("items", [[], ["C"]], ids=["none", "one"])
def test_too_few_items_to_split(items: list[str]) -> None:
    with pytest.raises(CorpusError, match=f"corpus of {len(items)}"):
        split_held_out(items, 5)


def test_take_by_hash_is_a_prefix_of_a_larger_take() -> None:
    assert take_by_hash(ALKANES, 20)[:5] == take_by_hash(list(reversed(ALKANES)), 5)


def test_pairs_serve_both_directions_with_labels(tmp_path: Path, naming: Task) -> None:
    pairs = write_pairs(tmp_path / "test.tsv", list(zip(ALKANES, NAMES, strict=True)))
    molecules = write_items(tmp_path / "train.smi", ["CCO", *ALKANES[:10]])
    config = make_config(evaluation={"pairs": pairs, "size": 50}, data={"molecules": molecules})
    held_out, training = build_held_out(config, naming)
    assert {(i.source, i.target) for i in held_out.along(Direction.FORWARD)} == set(zip(ALKANES, NAMES, strict=True))
    assert {(i.source, i.target) for i in held_out.along(Direction.REVERSE)} == set(zip(NAMES, ALKANES, strict=True))
    assert training == TrainingItems(("CCO",), excluded=10)
    assert held_out.origin == f"50 of 50 pairs of {pairs}"


def test_size_limits_each_direction_to_the_same_pairs(tmp_path: Path, naming: Task) -> None:
    rows = list(zip(ALKANES, NAMES, strict=True))
    forth = write_pairs(tmp_path / "forth.tsv", rows)
    back = write_pairs(tmp_path / "back.tsv", rows[::-1])
    one, other = (
        build_held_out(make_config(evaluation={"pairs": path, "size": 8}), naming, TrainingItems())[0]
        for path in (forth, back)
    )
    assert (one.forward, one.reverse) == (other.forward, other.reverse)
    assert len(one.forward) == len(one.reverse) == 8


def test_unlabelled_files_give_their_own_direction(tmp_path: Path, naming: Task) -> None:
    molecules = write_items(tmp_path / "test.smi", ["CCO", "CCC"])
    config = make_config(evaluation={"molecules": molecules})
    held_out, training = build_held_out(config, naming, TrainingItems(molecules=("CCC", "CCN")))
    assert set(held_out.forward) == {Item("CCO"), Item("CCC")}
    assert held_out.directions == (Direction.FORWARD,)
    assert training.molecules == ("CCN",)


def test_without_files_training_items_are_set_aside(naming: Task) -> None:
    held_out, training = build_held_out(
        make_config(evaluation={"size": 5}), naming, TrainingItems(tuple(ALKANES), tuple(NAMES))
    )
    assert (len(held_out.forward), len(held_out.reverse)) == (5, 5)
    assert {i.source for i in held_out.forward}.isdisjoint(training.molecules)
    assert {i.source for i in held_out.reverse}.isdisjoint(training.outputs)
    assert (len(training), training.excluded) == (90, 10)


def test_another_seed_of_the_run_holds_out_the_same_items(naming: Task) -> None:
    data = TrainingItems(tuple(ALKANES))
    one, other = (build_held_out(make_config(seed), naming, data) for seed in (0, 1))
    assert one == other


def test_set_aside_pairs_are_labelled_and_leave_every_corpus(naming: Task) -> None:
    data = TrainingItems(tuple(ALKANES), tuple(NAMES), tuple(zip(ALKANES, NAMES, strict=True)))
    held_out, training = build_held_out(make_config(evaluation={"size": 4}), naming, data)
    assert all(item.target for item in held_out.forward + held_out.reverse)
    assert (len(training.molecules), len(training.outputs), len(training.pairs)) == (46, 46, 46)
    assert held_out.left.isdisjoint(training.molecules) and held_out.right.isdisjoint(training.outputs)


def test_limit_comes_after_items_are_held_out(naming: Task) -> None:
    data = TrainingItems(tuple(ALKANES))
    whole, _ = build_held_out(make_config(evaluation={"size": 5}), naming, data)
    held_out, training = build_held_out(make_config(evaluation={"size": 5}, data={"limit": 10}), naming, data)
    assert held_out == whole
    assert len(training.molecules) == 10


@pytest.mark.parametrize(
    ("evaluation", "data", "error", "message"),
    [
        pytest.param(
            {"pairs": "p.tsv", "molecules": "m.smi"}, TrainingItems(), ConfigError, "not both", id="pairs and molecules"
        ),
        pytest.param({}, TrainingItems(), CorpusError, "nothing to measure", id="nothing at all"),
        pytest.param({"pairs": "missing.tsv"}, TrainingItems(), ConfigError, "missing.tsv", id="no such file"),
        pytest.param(
            {"molecules": "TEST"}, TrainingItems(("CCO",)), CorpusError, "all 1 training items", id="same file twice"
        ),
    ],
)
def test_what_cannot_be_held_out_is_refused(
    tmp_path: Path, naming: Task, evaluation: dict, data: TrainingItems, error: type[Exception], message: str
) -> None:
    if evaluation.get("molecules") == "TEST":
        evaluation = {"molecules": write_items(tmp_path / "t.smi", ["OCC"])}
    with pytest.raises(error, match=message):
        build_held_out(make_config(evaluation=evaluation), naming, data)

"""Held-out items: chosen by what they are, never by where they stand, and never trained on."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.data.pool import Mixture
from rtrl_chem.data.stream import Stream
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.evaluation.held_out import (
    Item,
    TrainingItems,
    build_held_out,
    held_out_items,
    read_training_items,
    split_held_out,
    take_by_hash,
)
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


# ---- corpora on disk, mixtures and streams --------------------------------------------------------------------------

Write = Callable[..., str]


def test_a_prepared_corpus_gives_up_the_items_that_its_file_would(
    write_prepared: Write, tmp_path: Path, naming: Task
) -> None:
    plain, prepared = (
        build_held_out(make_config(evaluation={"size": 5}, data={"molecules": path}), naming)
        for path in (
            write_items(tmp_path / "x.smi", ALKANES),
            write_prepared(tmp_path / "corpus", train={"smiles": ALKANES}),
        )
    )
    assert prepared[0].forward == plain[0].forward
    assert list(prepared[1].molecules) == list(plain[1].molecules)
    assert prepared[1].excluded == plain[1].excluded == 5


def test_a_validation_split_is_what_is_held_out(write_prepared: Write, tmp_path: Path, naming: Task) -> None:
    path = write_prepared(tmp_path / "corpus", train={"smiles": ALKANES}, validation={"smiles": ["CCO", "CCN"]})
    held_out, training = build_held_out(make_config(data={"molecules": path}), naming)
    assert {item.source for item in held_out.forward} == {"CCO", "CCN"}
    assert held_out.origin == "2 of the validation split"
    assert list(training.molecules) == ALKANES


@pytest.mark.parametrize("split", ["validation", "test", "train"])
def test_a_prepared_corpus_to_measure_on_gives_its_held_out_split(
    write_prepared: Write, tmp_path: Path, naming: Task, split: str
) -> None:
    splits = {"train": {"smiles": ["C"]}, split: {"smiles": ["CCO", "CCN"]}}
    config = make_config(evaluation={"molecules": write_prepared(tmp_path / "corpus", **splits)})
    held_out = held_out_items(config, naming)
    assert held_out is not None and {item.source for item in held_out.forward} == {"CCO", "CCN"}


def test_prepared_reactions_are_held_out_on_both_sides(write_prepared: Write, tmp_path: Path, reaction: Task) -> None:
    pairs = {"reactants": ["C.N", "C.O", "CC.N", "CC.O", "CN.O"], "product": ["CN", "CO", "CCN", "CCO", "CO"]}
    path = write_prepared(tmp_path / "corpus", train=pairs)
    config = make_config(evaluation={"size": 1}, data={"molecules": None, "outputs": path, "pairs": path})
    held_out, training = build_held_out(config, reaction)
    (item,) = held_out.forward
    rest = [pair for pair in zip(*pairs.values(), strict=True) if pair[0] != item.source and pair[1] != item.target]
    assert list(training.pairs) == rest
    assert list(training.outputs) == [product for product in pairs["product"] if product != item.target]


def test_a_product_of_many_reactions_is_held_out_once(write_prepared: Write, tmp_path: Path, reaction: Task) -> None:
    path = write_prepared(tmp_path / "corpus", train={"product": ["CCO"] * 20})
    with pytest.raises(CorpusError, match="all 20 training items"):
        build_held_out(make_config(data={"molecules": None, "outputs": path}), reaction)
    path = write_prepared(tmp_path / "other", train={"product": ["CCO", "CCN", "CCC"] * 10})
    held_out, training = build_held_out(make_config(data={"molecules": None, "outputs": path}), reaction)
    assert len(held_out.reverse) == len({item.source for item in held_out.reverse})
    assert training.excluded == 10 * len(held_out.reverse)


def test_a_prepared_corpus_is_limited_among_what_is_left(write_prepared: Write, tmp_path: Path, naming: Task) -> None:
    path = write_prepared(tmp_path / "corpus", train={"smiles": ALKANES})
    held_out, training = build_held_out(
        make_config(evaluation={"size": 5}, data={"molecules": path, "limit": 10}), naming
    )
    assert len(set(training.molecules)) == 10
    assert held_out.left.isdisjoint(training.molecules)


def test_every_corpus_of_a_mixture_is_without_what_is_held_out(
    write_prepared: Write, tmp_path: Path, naming: Task
) -> None:
    corpora = [
        {"path": write_items(tmp_path / "x.smi", ALKANES[:30]), "weight": 2.0},
        write_prepared(tmp_path / "corpus", train={"smiles": ALKANES[20:]}),
    ]
    held_out, training = build_held_out(make_config(evaluation={"size": 12}, data={"molecules": corpora}), naming)
    assert isinstance(training.molecules, Mixture)
    assert training.molecules.weights == (2.0, 1.0)
    first, second = map(list, training.molecules.parts)
    assert len(held_out.forward) == len(held_out.left)
    assert first == [item for item in ALKANES[:30] if item not in held_out.left]
    assert second == [item for item in ALKANES[20:] if item not in held_out.left]
    assert training.excluded == 60 - len(first) - len(second)


def test_a_mixture_with_nothing_left_of_a_corpus(tmp_path: Path, naming: Task) -> None:
    test = write_items(tmp_path / "test.smi", ["CCO"])
    corpora = [write_items(tmp_path / "x.smi", ALKANES), test]
    with pytest.raises(CorpusError, match=r"all items of .*test\.smi are held out"):
        build_held_out(make_config(evaluation={"molecules": test}, data={"molecules": corpora}), naming)


def test_held_out_items_are_passed_over_in_a_stream(tmp_path: Path, naming: Task) -> None:
    data = {"molecules": write_items(tmp_path / "x.smi", ALKANES), "streaming": {"buffer": 5}, "limit": 20}
    config = make_config(evaluation={"molecules": write_items(tmp_path / "test.smi", ALKANES[:10])}, data=data)
    _, training = build_held_out(config, naming)
    assert len(training) == training.excluded == 0
    assert isinstance(training.molecules, Stream)
    assert set(training.molecules.draw(0, 40, (0,))) == set(ALKANES[10:30])


def test_columns_and_formats_of_a_corpus_go_before_those_of_all(tmp_path: Path, naming: Task) -> None:
    (tmp_path / "a.txt").write_text("drug,mol\nCCO,CO\n")
    (tmp_path / "b.csv").write_text("drug,mol\nCCC,CN\n")
    corpora = [{"path": str(tmp_path / "a.txt"), "format": "csv"}, {"path": str(tmp_path / "b.csv"), "field": "mol"}]
    items = read_training_items(make_config(data={"molecules": corpora, "field": "drug"}), naming)
    assert isinstance(items.molecules, Mixture)
    assert items.molecules.parts == (("CCO",), ("CN",))

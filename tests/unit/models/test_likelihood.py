"""log p(x | y) of a model for measuring it: the scores of `ReverseModel`, in blocks that survive a kill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rtrl_chem.models import likelihood
from rtrl_chem.models.likelihood import log_likelihoods
from rtrl_chem.models.reverse import ReverseModel, Score
from rtrl_chem.models.snapshot import FrozenModel
from rtrl_chem.tasks import Direction

FORWARD, REVERSE = Direction.FORWARD, Direction.REVERSE
MOLECULES = ["CCO", "CC(=O)Oc1ccccc1C(=O)O", "C", "CC(C)CCO", "CCO", "CCN(CC)CC"]
NAMES = ["ethanol", "2-acetyloxybenzoic acid", "methane", "", "ethanol", "x"]


class Notebook(dict[int, Any]):
    """What a journal keeps, and when it fails."""

    dies_at: int | None = None

    def recall(self, number: int) -> Any:
        return self.get(number)

    def record(self, number: int, content: Any) -> None:
        if number == self.dies_at:
            raise KeyboardInterrupt
        self[number] = content


@pytest.mark.parametrize("direction", [FORWARD, REVERSE], ids=str)
def test_scores_are_those_of_the_reverse_model(make_policy: Callable[..., Any], direction: Direction) -> None:
    policy = make_policy(seed=2)
    sources, outputs = (MOLECULES, NAMES) if direction is FORWARD else (NAMES, MOLECULES)
    found = log_likelihoods(policy.model, policy.codec, direction, sources, outputs)
    expected = ReverseModel(FrozenModel(policy.model), policy.codec, direction).log_likelihood(sources, outputs)
    assert [score.tokens for score in found] == [score.tokens for score in expected]
    assert [score.nats for score in found] == pytest.approx([score.nats for score in expected], abs=1e-3)
    assert all(score.nats == round(score.nats, 4) < 0 for score in found)


def test_each_distinct_pair_is_scored_once_and_the_model_is_left_as_it_was(make_policy: Callable[..., Any]) -> None:
    policy, seen = make_policy(), []
    policy.model.train()
    policy.model.register_forward_pre_hook(
        lambda m, a, k: seen.extend([m.training] * len(k["input_ids"])), with_kwargs=True
    )
    steps: list[int] = []
    log_likelihoods(policy.model, policy.codec, FORWARD, MOLECULES, NAMES, on_progress=steps.append)
    assert seen == [False] * 5
    assert steps == [5]
    assert policy.model.training


def test_an_interrupted_scoring_ends_as_an_uninterrupted_one(
    make_policy: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likelihood, "BLOCK", 2)
    policy, notes = make_policy(), Notebook()

    def score(notes: Notebook | None = None) -> list[Score]:
        return log_likelihoods(policy.model, policy.codec, FORWARD, MOLECULES, NAMES, notes=notes)

    notes.dies_at = 2
    with pytest.raises(KeyboardInterrupt):
        score(notes)
    assert sorted(notes) == [0, 1]
    notes.dies_at = None
    kept = dict(notes)
    assert score(notes) == score()
    assert {number: notes[number] for number in kept} == kept, "what was known was not scored again"


def test_no_pairs_no_scores(make_policy: Callable[..., Any]) -> None:
    policy = make_policy()
    assert log_likelihoods(policy.model, policy.codec, FORWARD, [], []) == []

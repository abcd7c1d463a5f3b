"""log p(x | y): equal to the plain sum over full logits, one pair at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from rtrl_chem.models.reverse import ReverseModel, Score
from rtrl_chem.tasks import Direction

FORWARD, REVERSE = Direction.FORWARD, Direction.REVERSE
MOLECULES = ["CCO", "CC(=O)Oc1ccccc1C(=O)O", "C", "CC(C)CCO", "CCN(CC)CC", "O=C(O)c1ccccc1", "C1CCCCC1", "N#CC"]
NAMES = ["ethanol", "2-acetyloxybenzoic acid", "methane", "3-methylbutan-1-ol", "N,N-diethylethanamine", "x", ")(-"]


class Still:
    """A snapshot of a model that nobody trains; counts the rows it scores."""

    def __init__(self, model: Any) -> None:
        self.model = model.eval()
        self.rows = 0
        model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        self.rows += len(kwargs["input_ids"])

    @contextmanager
    def active(self) -> Iterator[Any]:
        yield self.model


def one_at_a_time(policy: Any, direction: Direction, source: str, output: str) -> Score:
    """The definition: no batch, no padding, no mask, every position's logits."""
    back, codec = direction.opposite, policy.codec
    [prompt], [target] = codec.prompt_ids(back, [output]), codec.targets(back, [source])
    with torch.no_grad():
        logits = policy.model(input_ids=torch.tensor([prompt + target.ids])).logits[0].double()
    log_p = torch.log_softmax(logits, -1)
    span = range(len(prompt) + target.first, len(prompt) + target.last)
    ids = prompt + target.ids
    return Score(sum(float(log_p[i - 1, ids[i]]) for i in span), len(span))


def random_pairs(direction: Direction, seed: int, count: int = 24) -> tuple[list[str], list[str]]:
    draw = random.Random(seed)
    sources, outputs = (MOLECULES, NAMES) if direction is FORWARD else (NAMES, MOLECULES)
    return draw.choices(sources, k=count), draw.choices(outputs, k=count)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("direction", [FORWARD, REVERSE], ids=str)
@pytest.mark.parametrize("style", ["compact", "plain", "tagged", "chat", "answer"])
def test_scores_are_those_of_one_pair_at_a_time(
    make_policy: Callable[..., Any], style: str, direction: Direction, architecture: str
) -> None:
    policy = make_policy(style, architecture=architecture, seed=1)
    sources, outputs = random_pairs(direction, seed=len(style))
    reverse = ReverseModel(Still(policy.model), policy.codec, direction, max_batch_tokens=300)
    for score, x, y in zip(reverse.log_likelihood(sources, outputs), sources, outputs, strict=True):
        expected = one_at_a_time(policy, direction, x, y)
        assert score.tokens == expected.tokens
        assert score.nats == pytest.approx(expected.nats, abs=1e-4)


@pytest.mark.parametrize("max_batch_tokens", [1, 100, 100_000])
def test_the_batch_size_does_not_matter(make_policy: Callable[..., Any], max_batch_tokens: int) -> None:
    policy = make_policy()
    sources, outputs = random_pairs(FORWARD, seed=3)
    reverse = ReverseModel(Still(policy.model), policy.codec, FORWARD, max_batch_tokens)
    found = [score.nats for score in reverse.log_likelihood(sources, outputs)]
    expected = [one_at_a_time(policy, FORWARD, *pair).nats for pair in zip(sources, outputs, strict=True)]
    assert found == pytest.approx(expected, abs=1e-4)


def test_random_pairs_score_alike_in_bulk(make_policy: Callable[..., Any]) -> None:
    """Strings no chemist would write, 200 of them: lengths from 1 to 60 characters."""
    policy, draw = make_policy("plain", seed=5), random.Random(0)
    alphabet = "CNOcn()=#[]123.- abcxyz,'é"

    def text() -> str:
        return "".join(draw.choices(alphabet, k=draw.randint(1, 60))).strip() or "C"

    sources, outputs = [text() for _ in range(60)], [text() for _ in range(60)]
    reverse = ReverseModel(Still(policy.model), policy.codec, FORWARD, max_batch_tokens=700)
    found = [score.nats for score in reverse.log_likelihood(sources, outputs)]
    expected = [one_at_a_time(policy, FORWARD, *pair).nats for pair in zip(sources, outputs, strict=True)]
    assert found == pytest.approx(expected, abs=1e-4)


def test_each_distinct_pair_is_scored_once(make_policy: Callable[..., Any]) -> None:
    policy = make_policy()
    still = Still(policy.model)
    reverse = ReverseModel(still, policy.codec, FORWARD)
    first = reverse.log_likelihood(["CCO", "CCO", "C", "CCO"], ["ethanol", "ethanol", "ethanol", "methane"])
    again = reverse.log_likelihood(["C", "CCO", "CC"], ["ethanol", "ethanol", "ethane"])
    assert (still.rows, reverse.scored, reverse.requests) == (4, 4, 7)
    assert reverse.counts() == (7, 4)
    assert reverse.counts() == (0, 0)
    assert first[0] == first[1] == again[1]
    assert first[2] == again[0]


def test_no_pairs_no_scores(make_policy: Callable[..., Any]) -> None:
    policy = make_policy()
    still = Still(policy.model)
    assert ReverseModel(still, policy.codec, FORWARD).log_likelihood([], []) == []
    assert still.rows == 0


def test_lists_of_unequal_length_are_a_mistake(make_policy: Callable[..., Any]) -> None:
    policy = make_policy()
    with pytest.raises(ValueError, match="shorter"):
        ReverseModel(Still(policy.model), policy.codec, FORWARD).log_likelihood(["CCO"], [])


def test_probabilities_over_all_short_answers_sum_to_less_than_one(make_policy: Callable[..., Any]) -> None:
    """The end of x is part of the score, so p(x | y) is a distribution over texts and not over prefixes."""
    policy = make_policy()
    answers = ["C", "CC", "CCC", "CCO", "CO", "N", "O"]
    scores = ReverseModel(Still(policy.model), policy.codec, FORWARD).log_likelihood(answers, ["methane"] * 7)
    assert sum(torch.tensor([s.nats for s in scores]).exp()) < 1
    assert [s.tokens for s in scores] == [len(a) + 1 for a in answers]


def test_the_model_is_asked_for_the_last_positions_alone(make_policy: Callable[..., Any]) -> None:
    policy = make_policy()
    widths = []
    policy.model.lm_head.register_forward_hook(lambda module, args, out: widths.append(out.shape[1]))
    ReverseModel(Still(policy.model), policy.codec, FORWARD).log_likelihood(["CCO"], ["2-acetyloxybenzoic acid"])
    assert widths == [len("CCO") + 2]  # one more than C C O and the end, to predict the first of them

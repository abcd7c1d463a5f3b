"""The reward as a whole: gates, weights, components, and that cheating never pays."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.config import FormatReward, LikelihoodReward, Rewards
from rtrl_chem.models.codec import Answer
from rtrl_chem.models.reverse import Score
from rtrl_chem.rewards.compose import Judged, RoundTripReward, Stopwatch, summary
from rtrl_chem.rewards.likelihood import FLOORS
from rtrl_chem.rewards.options import SupervisedReward
from rtrl_chem.rewards.registry import WeightedTerm
from rtrl_chem.rewards.terms import Batch
from rtrl_chem.rewards.user import UserTerm
from rtrl_chem.rewards.verdict import Verdict
from rtrl_chem.tasks import NAMING, Direction

FORWARD, REVERSE = Direction.FORWARD, Direction.REVERSE
ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


class Codec:
    """Ids are code points; 0 ends an answer."""

    task = NAMING

    def read(self, direction: Direction, ids: list[int]) -> Answer:
        text = "".join(map(chr, ids)).partition("\0")[0]
        return Answer(text, text, len(ids), truncated=0 not in ids)


class Reverse:
    """Gives every pair the same score, and remembers what it was asked."""

    def __init__(self, nats: float = math.log(0.25), tokens: int = 4) -> None:
        self.score = Score(nats, tokens)
        self.asked: list[tuple[str, str]] = []

    def log_likelihood(self, sources: list[str], outputs: list[str]) -> list[Score]:
        self.asked += zip(sources, outputs, strict=True)
        return [self.score] * len(sources)


def reward_of(direction: Direction = FORWARD, reverse: Any = None, **terms: Any) -> RoundTripReward:
    rewards = Rewards(**terms) if terms else Rewards(likelihood=LikelihoodReward(), format=FormatReward())
    return RoundTripReward(Codec(), direction, reverse or Reverse(), rewards)  # type: ignore[arg-type]


def answer(text: str, truncated: bool = False) -> Answer:
    return Answer(text, text, len(text), truncated)


GATED = [
    pytest.param(FORWARD, ASPIRIN, answer(""), Verdict.EMPTY, id="empty"),
    pytest.param(FORWARD, ASPIRIN, answer("2-acetyl", truncated=True), Verdict.TRUNCATED, id="truncated"),
    pytest.param(REVERSE, "aspirin", answer("C1CC"), Verdict.INVALID, id="invalid"),
    pytest.param(FORWARD, ASPIRIN, answer("OC(=O)c1ccccc1OC(C)=O"), Verdict.COPIED_SOURCE, id="copied"),
    pytest.param(FORWARD, ASPIRIN, answer(f"acid {ASPIRIN}"), Verdict.LEAKED_SOURCE, id="leaked"),
]


def test_an_ungated_verdict_is_counted_and_earns_what_the_terms_give() -> None:
    rewards = Rewards(format=FormatReward(weight=0.5))
    reward = RoundTripReward(Codec(), FORWARD, Reverse(), rewards, ["LEAKED_SOURCE"])  # type: ignore[arg-type]
    leak, copy = reward.judge([ASPIRIN] * 2, [answer(f"acid {ASPIRIN}"), answer(ASPIRIN)])
    assert (leak.verdict, leak.reward) == (Verdict.LEAKED_SOURCE, 0.5)
    assert (copy.verdict, copy.reward) == (Verdict.COPIED_SOURCE, 0.0)


@pytest.mark.parametrize(("form", "normalize"), FLOORS, ids=" ".join)
@pytest.mark.parametrize(("direction", "source", "given", "verdict"), GATED)
def test_a_gated_output_earns_the_floor_and_is_not_scored(
    direction: Direction, source: str, given: Answer, verdict: Verdict, form: Any, normalize: Any
) -> None:
    reverse = Reverse()
    term = LikelihoodReward(weight=2.0, form=form, normalize=normalize)
    reward = reward_of(direction, reverse, likelihood=term, format=FormatReward(weight=0.5))
    [judged] = reward.judge([source], [given])
    floor = FLOORS[form, normalize]
    parts = {"likelihood": floor, "format": 0.0}
    expected = (source, given.text, given.completion, None, 2 * floor, verdict, judged.evidence, parts)
    assert judged == Judged(direction, *expected, nats=None, tokens=None)
    assert bool(judged.evidence) == (verdict in (Verdict.COPIED_SOURCE, Verdict.LEAKED_SOURCE))
    assert reverse.asked == []


def test_an_ok_output_earns_the_weighted_sum_and_keeps_its_parts() -> None:
    reward = reward_of(likelihood=LikelihoodReward(weight=2.0), format=FormatReward(weight=0.5))
    [judged] = reward.judge(["CCO"], [answer("ethanol")])
    assert judged.reward == pytest.approx(2.0 * 0.25 + 0.5 * 1.0)
    assert judged.components == {"likelihood": pytest.approx(0.25), "format": 1.0}
    assert (judged.verdict, judged.evidence) == (Verdict.OK, "")
    assert (judged.nats, judged.tokens) == (math.log(0.25), 4)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        pytest.param({"likelihood": LikelihoodReward()}, 0.25, id="no format term"),
        pytest.param({"format": FormatReward(weight=0.3)}, 0.3, id="no likelihood term"),
        pytest.param({"likelihood": LikelihoodReward(), "format": FormatReward(weight=0.0)}, 0.25, id="alpha 0"),
    ],
)
def test_a_term_that_is_left_out_is_off(terms: dict[str, Any], expected: float) -> None:
    [judged] = reward_of(**terms).judge(["CCO"], [answer("ethanol")])
    assert judged.reward == pytest.approx(expected)


def test_an_ill_formed_name_is_scored_without_the_format_term() -> None:
    [judged] = reward_of().judge(["CCO"], [answer("eth(anol")])
    assert (judged.verdict, judged.components["format"], judged.reward) == (Verdict.OK, 0.0, pytest.approx(0.25))


def test_scores_go_to_the_outputs_that_were_scored() -> None:
    class ByLength(Reverse):
        def log_likelihood(self, sources: list[str], outputs: list[str]) -> list[Score]:
            return [Score(-float(len(y)), 1) for y in outputs]

    term = LikelihoodReward(form="log")
    reward = reward_of(FORWARD, ByLength(), likelihood=term)
    given = [answer("ethane"), answer(""), answer("propane"), answer("x", truncated=True), answer("methane!")]
    judged = reward.judge(["CC", "CC", "CCC", "C", "C"], given)
    assert [one.reward for one in judged] == [-6.0, -100.0, -7.0, -100.0, -8.0]
    assert [one.nats for one in judged] == [-6.0, None, -7.0, None, -8.0]


WEIGHTS = st.floats(0, 10)


@given(
    form=st.sampled_from(sorted(FLOORS)),
    weights=st.tuples(WEIGHTS, WEIGHTS),
    score=st.builds(Score, st.floats(-1e4, 0), st.integers(1, 200)),
    name=st.sampled_from(["ethanol", "eth(anol", "x", "no such name"]),
)
@pytest.mark.parametrize(("direction", "source", "given_", "verdict"), GATED)
def test_no_gated_output_earns_more_than_an_ok_one(
    direction: Direction,
    source: str,
    given_: Answer,
    verdict: Verdict,
    form: Any,
    weights: tuple[float, float],
    score: Score,
    name: str,
) -> None:
    reverse = Reverse(score.nats, score.tokens)
    terms = {
        "likelihood": LikelihoodReward(weight=weights[0], form=form[0], normalize=form[1]),
        "format": FormatReward(weight=weights[1]),
    }
    [gated] = reward_of(direction, reverse, **terms).judge([source], [given_])
    [honest] = reward_of(FORWARD, reverse, **terms).judge(["CCO"], [answer(name)])
    assert (gated.verdict, honest.verdict) == (verdict, Verdict.OK)
    assert gated.reward <= honest.reward


def ids_of(text: str) -> list[int]:
    return [*map(ord, text), 0]


def test_trl_gets_one_reward_for_each_completion_and_the_parts_for_its_log() -> None:
    logged: dict[str, float] = {}
    reward = reward_of()
    found = reward(
        completion_ids=[ids_of("ethanol"), ids_of("ethan")[:-1]],
        source=["CCO", "CCO"],
        prompts=["unused"] * 2,
        log_metric=logged.__setitem__,
    )
    assert found == [pytest.approx(0.45), 0.0]
    assert logged["verdict/OK"] == logged["verdict/TRUNCATED"] == 0.5
    assert logged["reward/likelihood"] == pytest.approx(0.125)
    assert logged["distinct_outputs"] == 2


def test_samples_are_drained_once() -> None:
    reward = reward_of()
    reward(completion_ids=[ids_of("ethanol")], source=["CCO"])
    reward(completion_ids=[ids_of("methane")], source=["C"])
    assert [one.output for one in reward.drain()] == ["ethanol", "methane"]
    assert reward.drain() == []


def test_judging_outside_of_the_trainer_leaves_nothing_to_drain() -> None:
    reward = reward_of()
    reward.judge(["CCO"], [answer("ethanol")])
    assert reward.drain() == []


def test_the_rates_of_a_batch_sum_to_one() -> None:
    judged = reward_of().judge(["CCO"] * 3, [answer("ethanol"), answer("ethanol"), answer("")])
    found = summary(judged)
    assert sum(found[f"verdict/{verdict}"] for verdict in Verdict) == pytest.approx(1)
    assert found["distinct_outputs"] == 2


def test_a_stopwatch_adds_up() -> None:
    watch = Stopwatch()
    watch.add("part", 0.0)
    first = watch.seconds["part"]
    watch.add("part", 0.0)
    assert watch.seconds["part"] > 2 * first > 0


# ---- terms that have no word on a sample ----------------------------------------------------------------------------


def test_a_source_without_a_label_is_left_out_of_the_supervised_term() -> None:
    reward = reward_of(likelihood=LikelihoodReward(), supervised=SupervisedReward(weight=2.0))
    given = [answer("ethanol"), answer("ethane"), answer(""), answer("methane"), answer("")]
    judged = reward.judge(["CCO", "CCO", "CCO", "C", "C"], given, ["ethanol"] * 3 + [None] * 2)
    assert [one.components["supervised"] for one in judged] == [1.0, 0.0, 0.0, None, None]
    assert [one.reward for one in judged] == pytest.approx([2.25, 0.25, 0.0, 0.25, 0.0])
    assert [one.target for one in judged] == ["ethanol"] * 3 + [None] * 2
    assert summary(judged)["reward/supervised"] == pytest.approx(1 / 3)


def test_a_sample_that_no_term_counts_is_marked() -> None:
    reward = reward_of(supervised=SupervisedReward())
    judged = reward.judge(["CCO", "C"], [answer("ethanol"), answer("methane")], ["ethanol", None])
    assert [(one.reward, one.counted) for one in judged] == [(1.0, True), (0.0, False)]
    assert "reward/supervised" not in summary(judged[1:])


def test_trl_hears_of_no_reward_where_no_term_counts() -> None:
    """A 0 would teach PPO's critic that such a source is hopeless, and lower the mean reward that is logged."""
    reward = reward_of(supervised=SupervisedReward())
    ids = [ids_of("ethanol"), ids_of("methane"), [0]]
    assert reward(completion_ids=ids, source=["CCO", "C", "C"], target=["ethanol", None, None]) == [1.0, None, None]


class Knows:
    """A user's term that has a word on some sources only, and a floor."""

    def __init__(self, *sources: str) -> None:
        self.floor, self.needs_target, self.sources = -5.0, False, sources

    def __call__(self, batch: Batch) -> list[float | None]:
        return [1.0 if x in self.sources else None for x in batch.sources]


def test_what_is_left_out_is_left_out_for_every_output_of_the_source() -> None:
    """Else a gated output would be worth its floor beside honest ones that are worth nothing."""
    reward = reward_of()
    reward.terms = [WeightedTerm("known", 2.0, Knows("CCO"))]
    judged = reward.judge(["CCO", "CCO", "C", "C"], [answer("ethanol"), answer(""), answer("methane"), answer("")])
    assert [one.components["known"] for one in judged] == [1.0, -5.0, None, None]
    assert [one.reward for one in judged] == [2.0, -10.0, 0.0, 0.0]


def test_terms_are_asked_about_what_passed_alone() -> None:
    asked: list[Batch] = []

    def keep(batch: Batch) -> list[float]:
        asked.append(batch)
        return [0.5] * len(batch)

    reward = reward_of()
    reward.terms = [WeightedTerm("mine", 1.0, UserTerm("mine", keep))]
    judged = reward.judge(["CCO", "C"], [answer(""), answer("methane")], ["ethanol", "methane"])
    assert [(b.sources, b.outputs, b.targets) for b in asked] == [(("C",), ("methane",), ("methane",))]
    assert [one.reward for one in judged] == [0.0, 0.5]
    reward.judge(["C"], [answer("")])
    assert len(asked) == 1, "nothing passed, nothing asked"


def test_each_term_has_its_time() -> None:
    reward = reward_of(likelihood=LikelihoodReward(), format=FormatReward())
    reward.judge(["CCO"], [answer("ethanol")])
    assert set(reward.stopwatch.seconds) == {"verdicts", "reward likelihood", "reward format"}


def test_trl_passes_the_labels_on() -> None:
    reward = reward_of(supervised=SupervisedReward())
    found = reward(completion_ids=[ids_of("ethanol"), ids_of("x")], source=["CCO", "C"], target=["ethanol", None])
    assert found == [1.0, None]
    assert [one.target for one in reward.drain()] == ["ethanol", None]

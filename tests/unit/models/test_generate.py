"""Generation: the same answers whatever the batch, repeatable samples, nothing left changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from rtrl_chem.models.codec import Answer
from rtrl_chem.models.decoding import Decoding
from rtrl_chem.models.generate import answer_prompts, generate
from rtrl_chem.tasks import Direction

FORWARD, REVERSE = Direction.FORWARD, Direction.REVERSE
MOLECULES = ["CCO", "CC(=O)Oc1ccccc1C(=O)O", "C", "CC(C)CCO", "CCN(CC)CC", "O=C(O)c1ccccc1", "C1CCCCC1"]


def write(policy: Any, sources: list[str] = MOLECULES, **options: Any) -> list[list[str]]:
    found = generate(policy.model, policy.codec, FORWARD, sources, **({"max_new_tokens": 12} | options))
    return [[answer.completion for answer in group] for group in found]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("max_batch_tokens", [1, 60, 100_000])
def test_greedy_answers_do_not_depend_on_the_batch(
    make_policy: Callable[..., Any], architecture: str, max_batch_tokens: int
) -> None:
    policy = make_policy(architecture=architecture)
    one_by_one = [write(policy, [source])[0] for source in MOLECULES]
    assert write(policy, max_batch_tokens=max_batch_tokens) == one_by_one


def test_greedy_answers_are_the_most_likely_tokens(make_policy: Callable[..., Any]) -> None:
    """Token by token from full logits, without cache, batch or padding."""
    policy = make_policy("plain", seed=2)
    [prompt] = policy.codec.prompt_ids(FORWARD, ["CCO"])
    ids = list(prompt)
    policy.model.eval()
    for _ in range(12):
        with torch.no_grad():
            ids.append(int(policy.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == policy.tokenizer.eos_token_id:
            break
    expected = policy.codec.read(FORWARD, ids[len(prompt) :]).completion
    assert write(policy, ["CCO"]) == [[expected]]


def test_answers_come_in_the_order_of_the_sources(make_policy: Callable[..., Any]) -> None:
    policy = make_policy()
    straight, back = write(policy), write(policy, MOLECULES[::-1])
    assert back == straight[::-1]
    assert len({answer for [answer] in straight}) > 1


@pytest.mark.parametrize(
    "setting",
    [
        pytest.param({"repetition_penalty": 5.0}, id="repetition penalty"),
        pytest.param({"min_new_tokens": 12}, id="least length"),
        pytest.param({"no_repeat_ngram_size": 1}, id="no repeats"),
        pytest.param({"num_beams": 3}, id="beams"),
        pytest.param({"suppress_tokens": list(range(3, 400))}, id="suppressed tokens"),
    ],
)
def test_a_models_own_generation_settings_do_not_apply(
    make_policy: Callable[..., Any], setting: dict[str, Any]
) -> None:
    policy = make_policy()
    plain = write(policy)
    policy.model.generation_config.update(**setting)
    assert write(policy) == plain


def test_samples_do_not_follow_a_models_own_top_k(make_policy: Callable[..., Any]) -> None:
    policy = make_policy()
    policy.model.generation_config.update(top_k=1, top_p=0.01, min_p=0.9, typical_p=0.01)
    [samples] = write(policy, ["CCO"], num_samples=8, temperature=1.0)
    assert len(set(samples)) > 1


def test_samples_are_repeated_by_their_seed(make_policy: Callable[..., Any]) -> None:
    policy = make_policy()
    options = {"num_samples": 3, "temperature": 1.0}
    first = write(policy, seed=1, **options)
    torch.manual_seed(99)
    assert write(policy, seed=1, **options) == first
    assert write(policy, seed=2, **options) != first


def test_samples_of_a_source_are_the_same_in_any_company(make_policy: Callable[..., Any]) -> None:
    """Other processes, batches and restarts change nothing."""
    policy = make_policy()
    options = {"num_samples": 3, "temperature": 1.0, "seed": 5}
    together = write(policy, ["CCO", "CCC", "CCCCCCN", "CCO"], **options)
    assert write(policy, ["CCCCCCN", "CCO"], **options) == [together[2], together[0]]
    assert write(policy, ["CCO", "CCC", "CCCCCCN", "CCO"], max_batch_tokens=1, **options) == together
    assert together[0] != together[3], "equal sources get samples of their own"


@pytest.mark.parametrize("options", [{}, {"num_samples": 2, "temperature": 0.7}], ids=["greedy", "sampled"])
def test_the_callers_random_numbers_are_untouched(make_policy: Callable[..., Any], options: dict[str, Any]) -> None:
    policy = make_policy()
    before = torch.random.get_rng_state()
    write(policy, **options)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("training", [True, False], ids=["in training", "in evaluation"])
def test_the_model_is_left_as_it_was(make_policy: Callable[..., Any], training: bool) -> None:
    policy = make_policy()
    policy.model.train(training)
    policy.model.config.use_cache = False
    write(policy)
    assert policy.model.training is training
    assert policy.model.config.use_cache is False


def test_dropout_is_off(make_policy: Callable[..., Any]) -> None:
    policy = make_policy(architecture="gpt2")  # whose default is 0.1
    policy.model.train()
    assert write(policy) == write(policy)


@pytest.mark.parametrize("max_batch_tokens", [1, 150, 100_000])
def test_each_source_has_its_own_samples(make_policy: Callable[..., Any], max_batch_tokens: int) -> None:
    """At a temperature near zero every sample is the greedy answer of its source, and of no other."""
    policy = make_policy()
    greedy = write(policy)
    sampled = write(policy, num_samples=3, temperature=1e-4, max_batch_tokens=max_batch_tokens)
    assert sampled == [group * 3 for group in greedy]


def test_several_greedy_samples_are_a_mistake(make_policy: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="3 equal answers"):
        write(make_policy(), num_samples=3)


def test_no_sources_no_answers(make_policy: Callable[..., Any]) -> None:
    assert write(make_policy(), []) == []


def test_progress_counts_every_source_once(make_policy: Callable[..., Any]) -> None:
    finished: list[int] = []
    write(make_policy(), num_samples=2, temperature=1.0, max_batch_tokens=120, on_progress=finished.append)
    assert sum(finished) == len(MOLECULES)
    assert len(finished) > 1


def test_answers_say_whether_they_were_cut(make_policy: Callable[..., Any]) -> None:
    policy = make_policy()
    found = generate(
        policy.model, policy.codec, FORWARD, MOLECULES, max_new_tokens=6, num_samples=16, temperature=3.0, seed=1
    )
    answers = [answer for group in found for answer in group]
    assert {answer.truncated for answer in answers if answer.tokens < 6} <= {False}
    assert any(answer.truncated for answer in answers)
    assert all(answer.tokens == 6 for answer in answers if answer.truncated)


def test_any_seed_of_a_run_will_do(make_policy: Callable[..., Any]) -> None:
    """A phase's seed is a hash of 31 bits or more."""
    policy = make_policy()
    seeds = [0, 1, 2**31 - 1, 2**63 - 1]
    found = [write(policy, num_samples=3, temperature=1.0, seed=seed) for seed in seeds]
    assert len({str(answers) for answers in found}) == len(seeds)


def beams(policy: Any, sources: list[str] = MOLECULES, **options: Any) -> list[list[Answer]]:
    batch = {"max_batch_tokens": options.pop("max_batch_tokens")} if "max_batch_tokens" in options else {}
    decoding = Decoding(method="beam", **({"outputs": 4, "max_new_tokens": 8} | options))
    prompts = [policy.codec.prompt(FORWARD, source) for source in sources]
    return answer_prompts(policy.model, policy.codec, FORWARD, prompts, decoding, **batch)


def log_probability(policy: Any, source: str, answer: Answer) -> float:
    """Of the tokens that were written, one full forward pass each: no cache, no batch."""
    [prompt] = policy.codec.prompt_ids(FORWARD, [source])
    written = policy.tokenizer(answer.completion, add_special_tokens=False)["input_ids"]
    ids = prompt + written + ([] if answer.truncated else [policy.tokenizer.eos_token_id])
    with torch.no_grad():
        logs = policy.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    return float(sum(logs[i - 1, ids[i]] for i in range(len(prompt), len(ids))))


def test_beams_come_by_their_probability_and_never_behind_greedy(taught_policy: Any) -> None:
    sources = ["CCO", "CCCO", "CC"]
    greedy = generate(taught_policy.model, taught_policy.codec, FORWARD, sources, max_new_tokens=8)
    for source, group, [first] in zip(sources, beams(taught_policy, sources), greedy, strict=True):
        assert len({answer.completion for answer in group}) == 4
        scores = [log_probability(taught_policy, source, answer) for answer in group]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] >= log_probability(taught_policy, source, first) - 1e-4


def test_beams_do_not_depend_on_the_batch(taught_policy: Any) -> None:
    assert beams(taught_policy, max_batch_tokens=60) == beams(taught_policy)


def test_a_wider_beam_gives_no_more_than_was_asked(taught_policy: Any) -> None:
    wide = beams(taught_policy, ["CCO"], outputs=2, beams=6)
    assert [answer.completion for answer in wide[0]] == [
        answer.completion for answer in beams(taught_policy, ["CCO"], outputs=6)[0][:2]
    ]

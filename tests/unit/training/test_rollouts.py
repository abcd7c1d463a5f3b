from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.training.rollouts import by_prompt


def micro_batches(lengths: list[tuple[int, int]], rows: int) -> list[dict[str, torch.Tensor]]:
    """Micro-batches as TRL buffers them: every row padded to the longest of all, prompts left, completions right."""
    p, c = (max(column) for column in zip(*lengths, strict=True))
    batches = []
    for start in range(0, len(lengths), rows):
        part = range(start, min(start + rows, len(lengths)))
        prompts = torch.tensor([[0] * (p - lengths[i][0]) + [100 + i] * lengths[i][0] for i in part])
        completions = torch.tensor([[200 + i] * lengths[i][1] + [0] * (c - lengths[i][1]) for i in part])
        batches.append(
            {
                "prompt_ids": prompts,
                "prompt_mask": (prompts > 0).long(),
                "completion_ids": completions,
                "completion_mask": (completions > 0).long(),
                "advantages": torch.tensor([float(i) for i in part]),
                "old_per_token_logps": -completions.float(),
                "num_items_in_batch": torch.tensor(7.0),
            }
        )
    return batches


def samples(batches: list[dict[str, torch.Tensor]]) -> list[tuple]:
    """Each row without its padding, sorted."""
    found = []
    for b in batches:
        for i in range(len(b["advantages"])):
            seen = b["completion_mask"][i].bool()
            prompt = tuple(b["prompt_ids"][i][b["prompt_mask"][i].bool()].tolist())
            completion = tuple(b["completion_ids"][i][seen].tolist())
            logps = tuple(b["old_per_token_logps"][i][seen].tolist())
            found.append((prompt, completion, logps, b["advantages"][i].item()))
    return sorted(found)


LENGTHS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=8, max_size=8)


@given(LENGTHS, st.sampled_from([1, 2, 4]))
def test_dealing_by_prompt_keeps_every_sample_in_its_optimizer_step(
    lengths: list[tuple[int, int]], window: int
) -> None:
    batches = micro_batches(lengths, rows=2)
    dealt = by_prompt(batches, window)
    assert len(dealt) == len(batches)
    for start in range(0, len(batches), window):
        assert samples(dealt[start : start + window]) == samples(batches[start : start + window])


def test_dealing_by_prompt_cuts_the_padding_off() -> None:
    dealt = by_prompt(micro_batches([(9, 9), (1, 1), (2, 2), (8, 8)], rows=2), window=2)
    assert [tuple(b["completion_ids"].shape) for b in dealt] == [(2, 2), (2, 9)]
    assert [tuple(b["prompt_ids"].shape) for b in dealt] == [(2, 2), (2, 9)]
    assert [tuple(b["old_per_token_logps"].shape) for b in dealt] == [(2, 2), (2, 9)]


@given(st.lists(st.sampled_from([-2.0, -1e-5, 0.0, 1e-5, 1.0]), min_size=8, max_size=8), st.sampled_from([1, 2, 4]))
def test_samples_without_advantage_are_left_out_but_no_micro_batch_is_empty(
    advantages: list[float], window: int
) -> None:
    batches = micro_batches([(1 + i % 3, 1 + i % 4) for i in range(8)], rows=2)
    for i, batch in enumerate(batches):
        batch["advantages"] = torch.tensor(advantages[2 * i : 2 * i + 2])
    dealt = by_prompt(batches, window, least=1e-3)
    assert len(dealt) == len(batches)
    assert all(len(batch["advantages"]) for batch in dealt)
    for start in range(0, len(batches), window):
        before, after = samples(batches[start : start + window]), samples(dealt[start : start + window])
        assert set(after) <= set(before)
        assert {s for s in before if abs(s[-1]) >= 1e-3} <= set(after)
        assert any(abs(s[-1]) < 1e-3 for s in after) <= (sum(abs(s[-1]) >= 1e-3 for s in before) < window)


@pytest.mark.parametrize("window", [1, 2])
def test_what_belongs_to_the_whole_batch_is_left_alone(window: int) -> None:
    dealt = by_prompt(micro_batches([(3, 3)] * 4, rows=2), window)
    assert [b["num_items_in_batch"].item() for b in dealt] == [7.0, 7.0]


def test_a_last_smaller_micro_batch_leaves_the_order_as_it_is() -> None:
    batches = micro_batches([(1, 5), (1, 4), (1, 3)], rows=2)
    assert by_prompt(batches, window=2) == batches

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rtrl_chem.rewards.terms import Batch
from rtrl_chem.tasks import TASKS, Direction


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """`make_batch(sources, outputs, targets=None, task="naming", direction="forward", reverse=None)`."""

    def make(
        sources: Sequence[str],
        outputs: Sequence[str],
        targets: Sequence[str | None] | None = None,
        *,
        task: str = "naming",
        direction: str = "forward",
        reverse: Any = None,
    ) -> Batch:
        labels = tuple(targets) if targets is not None else (None,) * len(sources)
        return Batch(TASKS[task], Direction(direction), tuple(sources), tuple(outputs), labels, reverse)

    return make


@pytest.fixture
def make_reverse() -> Callable[..., Any]:
    """The frozen reverse model of a policy: `make_reverse(policy, "forward")`."""

    def make(policy: Any, direction: str = "forward", **options: Any) -> Any:
        from rtrl_chem.models.reverse import ReverseModel
        from rtrl_chem.models.snapshot import FrozenModel

        return ReverseModel(FrozenModel(policy.model), policy.codec, Direction(direction), **options)

    return make

"""The process this runs in: which of how many it is, on which device it works, what it shares with the others, how much
its libraries say."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object

__all__ = ["calm_libraries", "in_shares", "processes", "shared"]

T = TypeVar("T")
Found = TypeVar("Found")


def processes() -> PartialState:
    """Accelerate's view of the processes. Always ask here: without a GPU the first call must say so, or several CPU
    processes would each take themselves for the only one."""
    return PartialState(cpu=not torch.cuda.is_available())


def shared(found: T) -> T:
    """What the main process found, in every process. All must call it."""
    box = [found]
    if processes().num_processes > 1:
        broadcast_object_list(box)
    return box[0]


def in_shares(items: Sequence[T], work: Callable[[list[T]], Sequence[Found]]) -> list[Found]:
    """`work(items)`, one result for each item; of several processes every one must call this, works on its share and
    gets everything, so that all go on with the same numbers to the last bit."""
    world = processes()
    if world.num_processes == 1:
        return list(work(list(items)))
    found: dict[int, Found] = {}
    share = range(world.process_index, len(items), world.num_processes)
    for part in gather_object([list(zip(share, work([items[i] for i in share]), strict=True))]):
        found.update(part)
    return [found[i] for i in range(len(items))]


def calm_libraries() -> None:
    """Keep the libraries' progress bars and advice out of our display; their errors still come through."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import datasets
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    for name in ("trl", "huggingface_hub"):  # the latter reports each of its tries to reach the Hub
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)

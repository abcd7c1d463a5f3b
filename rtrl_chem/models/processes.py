"""The process this runs in: which of how many it is, on which device it works, how much its libraries say."""

from __future__ import annotations

import logging
import os
import warnings
from typing import TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

__all__ = ["calm_libraries", "processes", "shared"]

T = TypeVar("T")


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

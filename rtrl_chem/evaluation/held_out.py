"""The items a policy is measured on, and what is left of the data to train on.

Where the config names no held-out file, some of the training data is set aside. Which items are taken is a function of
the items alone: reordering a file changes nothing, and a run's seed does not matter, so a model is never measured under
another seed on what it was trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from rtrl_chem.data import Corpus, Pairs, read_corpus, read_pairs
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.tasks import Direction, Task

if TYPE_CHECKING:
    from rtrl_chem.config import Config

__all__ = [
    "HeldOut",
    "Item",
    "TrainingItems",
    "build_held_out",
    "held_out_items",
    "read_training_items",
    "split_held_out",
    "take_by_hash",
]

T = TypeVar("T")

# Of a small corpus only this share is set aside, whatever `evaluation.size` says.
MAX_SHARE = 0.2


@dataclass(frozen=True)
class Item:
    """A source and, where there is a label, what the policy should write for it."""

    source: str
    target: str | None = None


@dataclass(frozen=True)
class HeldOut:
    """Held-out items per direction (empty: that direction is not measured) and where they come from, for the log."""

    forward: tuple[Item, ...]
    reverse: tuple[Item, ...]
    origin: str

    def along(self, direction: Direction) -> tuple[Item, ...]:
        """The items of one direction."""
        return self.forward if direction is Direction.FORWARD else self.reverse

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Those that have items."""
        return tuple(direction for direction in Direction if self.along(direction))

    @property
    def left(self) -> frozenset[str]:
        """Every item of the task's left domain, source or target: none may be trained on."""
        return frozenset([i.source for i in self.forward] + [i.target for i in self.reverse if i.target is not None])

    @property
    def right(self) -> frozenset[str]:
        """The same for the right domain."""
        return frozenset([i.source for i in self.reverse] + [i.target for i in self.forward if i.target is not None])


@dataclass(frozen=True)
class TrainingItems:
    """What there is to train on: molecules (or whatever the left domain is), outputs (right) and labelled pairs.

    `excluded` counts the items taken out because they are held out.
    """

    molecules: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    excluded: int = 0

    def __len__(self) -> int:
        return len(self.molecules) + len(self.outputs) + len(self.pairs)


def build_held_out(config: Config, task: Task, training: TrainingItems | None = None) -> tuple[HeldOut, TrainingItems]:
    """The held-out items and the training items without them; `training` defaults to what `config.data` names.

    Held-out items come from `evaluation.pairs` (both directions, labelled), or from `evaluation.molecules` and
    `evaluation.outputs`, or are set aside from the training data. Files are read with the errors of `read_corpus`;
    ConfigError where pairs are given beside molecules or outputs, CorpusError where too little is left.
    """
    training = training if training is not None else read_training_items(config, task)
    held_out = held_out_items(config, task) or _set_aside(training, config.evaluation.size)
    rest = _without(training, held_out)
    if len(training) and not len(rest):
        raise CorpusError(
            f"all {len(training)} training items are held out for evaluation ({held_out.origin}): "
            "train on other items than those of evaluation.pairs or evaluation.molecules"
        )
    limit = config.data.limit
    return held_out, rest if limit is None else _limited(rest, limit)


def held_out_items(config: Config, task: Task) -> HeldOut | None:
    """The items of the files named under `evaluation`, at most `evaluation.size` a direction; None if none is named."""
    wanted = config.evaluation
    if wanted.pairs:
        if wanted.molecules or wanted.outputs:
            raise ConfigError("evaluation: give pairs, or molecules and outputs, not both: pairs serve both directions")
        pairs = read_pairs(wanted.pairs, task)
        return _labelled(take_by_hash(list(pairs), wanted.size, _joined), f"of {len(pairs):,} pairs of {wanted.pairs}")
    if not (wanted.molecules or wanted.outputs):
        return None
    forward = list(read_corpus(wanted.molecules, task.left).items) if wanted.molecules else []
    reverse = list(read_corpus(wanted.outputs, task.right).items) if wanted.outputs else []
    files = " and ".join(path for path in (wanted.molecules, wanted.outputs) if path)
    total = len(forward) + len(reverse)
    return _unlabelled(
        take_by_hash(forward, wanted.size), take_by_hash(reverse, wanted.size), f"of {total:,} items of {files}"
    )


def read_training_items(
    config: Config, task: Task, on_read: Callable[[Corpus | Pairs], None] = lambda _: None
) -> TrainingItems:
    """Everything `config.data` names, unlimited: the limit comes after held-out items are set aside.

    `on_read` gets each file as it was read, with its rejects.
    """
    data = config.data
    fields = (data.field, data.output_field)
    molecules = outputs = pairs = None
    if data.molecules:
        on_read(molecules := read_corpus(data.molecules, task.left, fields[0], format=data.format))
    if data.outputs:
        on_read(outputs := read_corpus(data.outputs, task.right, fields[1], format=data.format))
    if data.pairs:
        on_read(pairs := read_pairs(data.pairs, task, fields, format=data.format))
    return TrainingItems(
        tuple(molecules.items if molecules else ()), tuple(outputs.items if outputs else ()), tuple(pairs or ())
    )


def split_held_out(
    items: Sequence[T], size: int, seed: int = 0, key: Callable[[T], str] = str
) -> tuple[list[T], list[T]]:
    """(held-out, training): the `size` items whose hash comes first, and the others in their order.

    Never more than a fifth of the items, and at least one. An item added to the corpus moves at most one other.
    CorpusError with fewer than two items.
    """
    if len(items) < 2:
        raise CorpusError(f"cannot hold out items from a corpus of {len(items)}: give evaluation.pairs or more data")
    held_out = take_by_hash(items, min(size, max(1, int(MAX_SHARE * len(items)))), key, seed)
    taken = {key(item) for item in held_out}
    return held_out, [item for item in items if key(item) not in taken]


def take_by_hash(items: Sequence[T], size: int, key: Callable[[T], str] = str, seed: int = 0) -> list[T]:
    """At most `size` items, those whose sha256(seed, key) comes first, in that order: the same for any order given."""
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed}\0{key(item)}".encode()).digest())[:size]


def _set_aside(training: TrainingItems, size: int) -> HeldOut:
    """Held-out items from the training data: pairs if there are any, for they have labels, else both corpora."""
    if training.pairs:
        chosen, _ = split_held_out(training.pairs, size, key=_joined)
        return _labelled(chosen, f"set aside of {len(training.pairs):,} training pairs")
    forward = split_held_out(training.molecules, size)[0] if training.molecules else []
    reverse = split_held_out(training.outputs, size)[0] if training.outputs else []
    if not (forward or reverse):
        raise CorpusError("nothing to measure: give data.molecules, or evaluation.pairs or evaluation.molecules")
    return _unlabelled(forward, reverse, f"set aside of {len(training):,} training items")


def _labelled(pairs: Iterable[tuple[str, str]], origin: str) -> HeldOut:
    pairs = list(pairs)
    forward = tuple(Item(left, right) for left, right in pairs)
    return HeldOut(forward, tuple(Item(right, left) for left, right in pairs), f"{len(pairs):,} {origin}")


def _unlabelled(forward: Sequence[str], reverse: Sequence[str], origin: str) -> HeldOut:
    return HeldOut(tuple(map(Item, forward)), tuple(map(Item, reverse)), f"{len(forward) + len(reverse):,} {origin}")


def _without(training: TrainingItems, held_out: HeldOut) -> TrainingItems:
    left, right = held_out.left, held_out.right
    molecules = tuple(item for item in training.molecules if item not in left)
    outputs = tuple(item for item in training.outputs if item not in right)
    pairs = tuple(pair for pair in training.pairs if pair[0] not in left and pair[1] not in right)
    excluded = len(training) - len(molecules) - len(outputs) - len(pairs)
    return TrainingItems(molecules, outputs, pairs, excluded)


def _limited(training: TrainingItems, limit: int) -> TrainingItems:
    # Another seed than the held-out items': a corpus must not be cut along the same order twice.
    return TrainingItems(
        tuple(take_by_hash(training.molecules, limit, seed=1)),
        tuple(take_by_hash(training.outputs, limit, seed=1)),
        tuple(take_by_hash(training.pairs, limit, _joined, seed=1)),
        training.excluded,
    )


def _joined(pair: tuple[str, str]) -> str:
    return "\0".join(pair)

"""The items a policy is measured on, and what is left of the data to train on.

Where the config names no held-out file, some of the training data is set aside. Which items are taken is a function of
the items alone: reordering a file changes nothing, and a run's seed does not matter, so a model is never measured under
another seed on what it was trained on. A prepared corpus with a validation split gives the items of that.

Corpora that stay on disk (`rtrl_chem.data.pool`) are looked through, never copied.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from rtrl_chem.data import Corpus, Pairs, read_corpus, read_pairs, stream_corpus
from rtrl_chem.data.order import shuffled
from rtrl_chem.data.pool import Column, Mixture, PairColumns, Pool, change, count, parts_of
from rtrl_chem.data.prepared import is_prepared, open_prepared
from rtrl_chem.data.stream import Stream
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.tasks import Direction, Task

if TYPE_CHECKING:
    from rtrl_chem.config import Config, CorpusConfig, CorpusKey, DataConfig

__all__ = [
    "HeldOut",
    "Item",
    "TrainingItems",
    "build_held_out",
    "build_validation",
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

    What a plain file held is a tuple; `rtrl_chem.data.pool` tells what else there may be. `excluded` counts the items
    taken out because they are held out; those that are passed over in a stream cannot be counted before.
    """

    molecules: Pool[str] = ()
    outputs: Pool[str] = ()
    pairs: Pool[tuple[str, str]] = ()
    excluded: int = 0

    def __len__(self) -> int:
        """Number of items; those of a stream are unknown and not among them."""
        return count(self.molecules) + count(self.outputs) + count(self.pairs)


def build_held_out(config: Config, task: Task, training: TrainingItems | None = None) -> tuple[HeldOut, TrainingItems]:
    """The held-out items and the training items without them; `training` defaults to what `config.data` names.

    Held-out items come from `evaluation.pairs` (both directions, labelled), or from `evaluation.molecules` and
    `evaluation.outputs`, or are set aside from the training data. Files are read with the errors of `read_corpus`;
    ConfigError where pairs are given beside molecules or outputs, CorpusError where too little is left.
    """
    training = training if training is not None else read_training_items(config, task)
    held_out = held_out_items(config, task) or _set_aside(training, config, task)
    rest = _without(training, held_out)
    _require_rest(training, rest, held_out)
    limit = config.data.limit
    return held_out, rest if limit is None else _limited(rest, limit)


def build_validation(
    config: Config, task: Task, training: TrainingItems, test: HeldOut
) -> tuple[HeldOut, TrainingItems]:
    """The items on which the guards decide, at most `guards.size` a direction, and the training items without them.

    They come from `guards.pairs`, without what is held out for the final table, or are set aside of the training data:
    pairs if there are any, else both corpora. CorpusError where nothing is left of either.
    """
    assert config.guards is not None
    given, size = config.guards.pairs, config.guards.size
    if given is not None:
        pairs = read_pairs(given, task, split=_split_to_measure(given))
        free = [pair for pair in pairs if pair[0] not in test.left and pair[1] not in test.right]
        if not free:
            raise CorpusError(f"guards.pairs: each of the {len(pairs):,} pairs of {given} is held out as a test item")
        chosen = _labelled(take_by_hash(free, size, _joined, seed=2), f"of {len(free):,} pairs of {given}")
    elif training.pairs:
        pairs_aside = _choose(parts_of(training.pairs), size, _joined, seed=2)
        chosen = _labelled(pairs_aside, f"set aside of {count(training.pairs):,} training pairs")
    else:
        pools = (training.molecules, training.outputs)
        sides = [_choose(parts_of(pool), size, seed=2) if count(pool) else [] for pool in pools]
        chosen = _unlabelled(sides[0], sides[1], f"set aside of {len(training):,} training items")
    rest = _without(training, chosen)
    _require_rest(training, rest, chosen)
    return chosen, replace(rest, excluded=training.excluded + rest.excluded)


def held_out_items(config: Config, task: Task) -> HeldOut | None:
    """The items of the files named under `evaluation`, at most `evaluation.size` a direction; None if none is named."""
    wanted = config.evaluation
    if wanted.pairs:
        if wanted.molecules or wanted.outputs:
            raise ConfigError("evaluation: give pairs, or molecules and outputs, not both: pairs serve both directions")
        pairs = read_pairs(wanted.pairs, task, split=_split_to_measure(wanted.pairs))
        return _labelled(take_by_hash(pairs, wanted.size, _joined), f"of {len(pairs):,} pairs of {wanted.pairs}")
    given = [(wanted.molecules, task.left), (wanted.outputs, task.right)]
    if not any(path for path, _ in given):
        return None
    both = [read_corpus(path, domain, split=_split_to_measure(path)).items if path else [] for path, domain in given]
    files = " and ".join(path for path, _ in given if path)
    forward, reverse = (take_by_hash(items, wanted.size) for items in both)
    return _unlabelled(forward, reverse, f"of {sum(map(len, both)):,} items of {files}")


def _split_to_measure(path: str) -> str:
    """Of a prepared corpus that is named for evaluation: the split meant for it, or all there is."""
    splits = open_prepared(path).rows if is_prepared(path) else {}
    return next((name for name in ("validation", "test") if splits.get(name)), "train")


def read_training_items(
    config: Config, task: Task, on_read: Callable[[Corpus | Pairs], None] = lambda _: None
) -> TrainingItems:
    """Everything `config.data` names, unlimited: the limit comes after held-out items are set aside.

    `on_read` gets each file as it was read, with its rejects; one that is streamed is not read yet.
    """

    def read(key: CorpusKey) -> Pool[Any]:
        found = []
        for corpus in config.data.corpora(key):
            found.append(_read_one(config.data, corpus, task, key))
            if isinstance(found[-1], (Corpus, Pairs)):
                on_read(found[-1])
        return _mixed([_items(one) for one in found], config.data.corpora(key))

    return TrainingItems(read("molecules"), read("outputs"), read("pairs"))


def _read_one(
    data: DataConfig, corpus: CorpusConfig, task: Task, key: CorpusKey, split: str = "train"
) -> Corpus | Pairs | Stream:
    fields = (corpus.field, corpus.output_field)
    if key == "pairs":
        return read_pairs(corpus.path, task, fields, format=corpus.format, split=split)
    domain, field = (task.left, fields[0]) if key == "molecules" else (task.right, fields[1])
    if data.streaming is not None:
        return stream_corpus(corpus.path, domain, field, format=corpus.format, buffer=data.streaming.buffer)
    return read_corpus(corpus.path, domain, field, format=corpus.format, split=split)


def _items(found: Corpus | Pairs | Stream) -> Any:
    """What was read as a pool: on disk if it is there, else in memory."""
    if isinstance(found, Stream):
        return found
    if isinstance(found, Corpus):
        return found.items if isinstance(found.items, Column) else tuple(found.items)
    if isinstance(found.sources, Column) and isinstance(found.targets, Column):
        return PairColumns(found.sources, found.targets)
    return tuple(found)


def _mixed(pools: Sequence[Any], corpora: Sequence[CorpusConfig]) -> Any:
    if len(pools) < 2:
        return pools[0] if pools else ()
    return Mixture(tuple(pools), tuple(one.weight for one in corpora), tuple(one.path for one in corpora))


def split_held_out(
    items: Sequence[T], size: int, seed: int = 0, key: Callable[[T], str] = str
) -> tuple[list[T], list[T]]:
    """(held-out, training): the `size` items whose hash comes first, and the others in their order.

    Never more than a fifth of the items, and at least one. An item added to the corpus moves at most one other.
    CorpusError with fewer than two items.
    """
    held_out = _choose([items], size, key, seed)
    taken = {key(item) for item in held_out}
    return held_out, [item for item in items if key(item) not in taken]


def _choose(corpora: Sequence[Sequence[T]], size: int, key: Callable[[T], str] = str, seed: int = 0) -> list[T]:
    """The items that `split_held_out` holds out."""
    total = sum(map(len, corpora))
    if total < 2:
        raise CorpusError(f"cannot hold out items from a corpus of {total}: give evaluation.pairs or more data")
    size = min(size, max(1, int(MAX_SHARE * total)))
    return take_by_hash(chain.from_iterable(corpora), size, key, seed)


def take_by_hash(items: Iterable[T], size: int, key: Callable[[T], str] = str, seed: int = 0) -> list[T]:
    """At most `size` items, those whose sha256(seed, key) comes first, in that order: the same for any order given.
    The others are gone through one at a time."""
    return heapq.nsmallest(size, items, key=lambda item: hashlib.sha256(f"{seed}\0{key(item)}".encode()).digest())


def _set_aside(training: TrainingItems, config: Config, task: Task) -> HeldOut:
    """Held-out items of the training data: pairs if there are any, for they have labels, else both corpora. Validation
    splits are what they are for; without one, items are set aside."""
    size = config.evaluation.size
    keys: tuple[CorpusKey, ...] = ("pairs",) if training.pairs else ("molecules", "outputs")
    validating = {key: _with_validation_split(config, key) for key in keys}

    def choose(key: CorpusKey, pool: Pool[Any], by: Callable[[Any], str] = str) -> list[Any]:
        if corpora := validating[key]:
            splits = [_items(_read_one(config.data, one, task, key, "validation")) for one in corpora]
            return take_by_hash(chain.from_iterable(splits), size, by)
        return _choose(parts_of(pool), size, by) if pool else []

    what = f"{count(training.pairs):,} training pairs" if training.pairs else f"{len(training):,} training items"
    origin = "of the validation split" if any(validating.values()) else f"set aside of {what}"
    if training.pairs:
        return _labelled(choose("pairs", training.pairs, _joined), origin)
    forward, reverse = choose("molecules", training.molecules), choose("outputs", training.outputs)
    if not (forward or reverse):
        raise CorpusError("nothing to measure: give data.molecules, or evaluation.pairs or evaluation.molecules")
    return _unlabelled(forward, reverse, origin)


def _with_validation_split(config: Config, key: CorpusKey) -> list[CorpusConfig]:
    """The prepared corpora under a key of `data` that have a validation split."""
    prepared = [one for one in config.data.corpora(key) if is_prepared(one.path)]
    return [one for one in prepared if open_prepared(one.path).rows.get("validation")]


def _labelled(pairs: Iterable[tuple[str, str]], origin: str) -> HeldOut:
    pairs = list(pairs)
    forward = tuple(Item(left, right) for left, right in pairs)
    return HeldOut(forward, tuple(Item(right, left) for left, right in pairs), f"{len(pairs):,} {origin}")


def _unlabelled(forward: Iterable[str], reverse: Iterable[str], origin: str) -> HeldOut:
    # A product of two reactions stands twice in a prepared corpus.
    forward, reverse = list(dict.fromkeys(forward)), list(dict.fromkeys(reverse))
    return HeldOut(tuple(map(Item, forward)), tuple(map(Item, reverse)), f"{len(forward) + len(reverse):,} {origin}")


def _without(training: TrainingItems, held_out: HeldOut) -> TrainingItems:
    left, right = held_out.left, held_out.right
    rest = TrainingItems(
        change(training.molecules, lambda part: _leave_out(part, left)),
        change(training.outputs, lambda part: _leave_out(part, right)),
        change(training.pairs, lambda part: _leave_out_pairs(part, left, right)),
    )
    return replace(rest, excluded=len(training) - len(rest))


def _leave_out(part: Any, texts: frozenset[str]) -> Any:
    if isinstance(part, (Column, Stream)):
        return part.without(texts)
    return tuple(item for item in part if item not in texts)


def _leave_out_pairs(part: Any, left: frozenset[str], right: frozenset[str]) -> Any:
    if isinstance(part, PairColumns):
        return part.without(left, right)
    return tuple(pair for pair in part if pair[0] not in left and pair[1] not in right)


def _require_rest(training: TrainingItems, rest: TrainingItems, held_out: HeldOut) -> None:
    """CorpusError if nothing is left to train on, or nothing of one of the corpora that are to be mixed."""
    emptied = [
        name
        for pool in (rest.molecules, rest.outputs, rest.pairs)
        if isinstance(pool, Mixture)
        for name, part in zip(pool.names, pool.parts, strict=True)
        if not isinstance(part, Stream) and not len(part)
    ]
    if emptied or (len(training) and not len(rest)):
        what = f"all items of {emptied[0]}" if emptied else f"all {len(training)} training items"
        raise CorpusError(
            f"{what} are held out for evaluation ({held_out.origin}): "
            "train on other items than those of evaluation.pairs or evaluation.molecules"
        )


def _limited(training: TrainingItems, limit: int) -> TrainingItems:
    return TrainingItems(
        change(training.molecules, lambda part: _limit(part, limit)),
        change(training.outputs, lambda part: _limit(part, limit)),
        change(training.pairs, lambda part: _limit(part, limit, _joined)),
        training.excluded,
    )


def _limit(part: Any, limit: int, key: Callable[[Any], str] = str) -> Any:
    if isinstance(part, Stream):
        return part.limited(limit)
    # Another seed than the held-out items': a corpus must not be cut along the same order twice.
    if isinstance(part, (Column, PairColumns)):
        return part.choose(np.sort(shuffled(len(part), 0, limit, [1]))) if limit < len(part) else part
    return tuple(take_by_hash(part, limit, key, seed=1))


def _joined(pair: tuple[str, str]) -> str:
    return "\0".join(pair)

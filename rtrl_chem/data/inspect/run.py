"""One inspection from beginning to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version

from rtrl_chem import __version__
from rtrl_chem.data.inspect.findings import Inspection
from rtrl_chem.data.inspect.overlap import Known
from rtrl_chem.data.inspect.source import Source
from rtrl_chem.data.inspect.survey import Sampled, Survey, survey
from rtrl_chem.data.inspect.tally import DRAWN, Examined, Tally, choose_drawn, examine_rows
from rtrl_chem.data.workers import in_chunks, stream_chunks
from rtrl_chem.errors import CorpusError

__all__ = ["Options", "inspect"]

_TOKENIZED_AT_ONCE = 1_000
# Rows kept to choose drawings from: enough that invalid ones among them do not matter.
_DRAWN_FROM = 40 * DRAWN

# What is going on, how far it is, and how far it goes (None where that is not known).
Progress = Callable[[str, int, "int | None"], None]


@dataclass(frozen=True)
class Options:
    """How to look: at how many rows closely, chosen by which seed, in how many processes; whose tokens are counted, and
    how many an item may have."""

    sample: int = 20_000
    seed: int = 0
    processes: int = 2
    tokenizer: str | None = None
    max_tokens: int | None = None


def inspect(
    source: Source,
    benchmarks: Sequence[Known] = (),
    token_lengths: Callable[[list[str]], list[int]] | None = None,
    options: Options | None = None,
    on_progress: Progress = lambda what, done, total: None,
) -> Inspection:
    """Everything there is to say of `source`. `token_lengths` gives the number of `options.tokenizer`'s tokens of each
    text.

    CorpusError where not one row can be read; what is damaged further on is inspected as far as it goes (`problem`).
    """
    options = options or Options()
    surveyed = survey(
        source, benchmarks, options.sample, options.seed, lambda rows: on_progress("reading rows", rows, None)
    )
    if not surveyed.readable:
        raise CorpusError(_nothing(source, surveyed))
    tally = Tally(source.sides, source.task, benchmarks, token_lengths, options.max_tokens, options.seed)
    drawn_from = _examine(tally, list(surveyed.sample), source, options, on_progress)
    complete = len(surveyed.sample) == surveyed.readable
    return Inspection(
        where=source.where,
        kind=source.kind,
        rows=surveyed.rows,
        readable=surveyed.readable,
        sampled=tally.rows,
        seed=options.seed,
        sections=(surveyed.section(), *tally.sections(complete)),
        overlaps=tuple(tally.overlaps(surveyed)),
        examples=(*surveyed.examples, *sorted(tally.examples, key=lambda e: (e.reason, e.row))),
        drawn=tuple(choose_drawn(drawn_from, options.seed)),
        remarks=(*_remarks(source), *tally.remarks),
        settings=asdict(options) | {"task": source.task.name if source.task else None},
        problem=surveyed.problem,
        versions=_versions("rdkit", *(("py2opsin",) if tally.named else ())),
    )


def _examine(
    tally: Tally, sample: list[Sampled], source: Source, options: Options, on_progress: Progress
) -> list[Examined]:
    """Count the sample in; returns the first rows, evenly taken, to draw from."""
    look = partial(examine_rows, sides=source.sides, task=source.task)
    step = max(1, len(sample) // _DRAWN_FROM)
    kept = []
    for number, examined in enumerate(stream_chunks(look, sample, options.processes), 1):
        tally.add(examined)
        if number % step == 0:
            kept.append(examined)
        if number % 250 == 0:
            on_progress("looking at the sample", number, len(sample))
    for chunk in in_chunks(sample, _TOKENIZED_AT_ONCE):
        tally.add_tokens(chunk)
    on_progress("reading names", 0, None)
    tally.finish()
    return kept


def _nothing(source: Source, surveyed: Survey) -> str:
    if not surveyed.rows:
        return f"{source.where} is empty: there is nothing to inspect"
    reason, count = surveyed.reasons.most_common(1)[0]
    return (
        f"{source.where}: none of its {surveyed.rows:,} rows can be read, most often ({count:,}) because: {reason};"
        " check the file, or the columns given by --field"
    )


def _remarks(source: Source) -> list[str]:
    """What the manifest of a prepared corpus says."""
    if not source.manifest:
        return []
    splits = ", ".join(f"{name} {split['rows']:,}" for name, split in source.manifest["splits"].items())
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in source.manifest.get("dropped", {}).items())
    return [f"prepared from {source.manifest['rows_in']:,} rows; splits: {splits}; dropped: {dropped or 'none'}"]


def _versions(*packages: str) -> dict[str, str]:
    return {"rtrl-chem": __version__, **{package: version(package) for package in packages}}

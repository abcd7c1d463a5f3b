"""The command line: one function per verb, arguments -> one call. Torch is imported only by the verbs that need it.

Exit status 0 done, 1 the work failed, 2 the call or the config is wrong, 130 interrupted. What a program reads goes to
stdout, everything else to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, NamedTuple, TextIO

import typer

from rtrl_chem import __version__
from rtrl_chem.config import Config, json_schema, load_config
from rtrl_chem.errors import ConfigError, Interrupted, RtrlError
from rtrl_chem.preflight import look_up
from rtrl_chem.tasks import Direction

__all__ = ["app", "main"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
runs_app = typer.Typer(add_completion=False)
app.add_typer(runs_app, name="runs")
# A wrong call, in every version of typer: with click, or with its own copy of click.
UsageError: type[Exception] = typer.BadParameter.__bases__[0]

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file such as configs/quickstart.yaml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as trainer.learning_rate=1e-4; repeatable."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress display.")]


@app.command()
def train(
    config: ConfigPath,
    overrides: Overrides = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in output_dir.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete the run in output_dir first.")] = False,
    allow_changed: Annotated[
        list[str] | None,
        typer.Option("--allow-changed", metavar="KEY", help="Resume though this is not as it was; repeatable."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON line on stdout for each step, measurement and phase.")
    ] = False,
    debug: Debug = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Nothing but errors.")] = False,
) -> None:
    """Train a model by round-trip RL; ends with a table of before and after."""
    with _errors_on_one_line(debug):
        if resume and overwrite:
            raise ConfigError("--resume and --overwrite: got both; give --resume to continue the run or --overwrite")
        if allow_changed and not resume:
            raise ConfigError("--allow-changed: is for a run that is resumed; give --resume too")
        checked, warnings = _checked(config, overrides, _processes() or 1)
        # That there is a run already is what --resume and --overwrite are for.
        warnings = tuple(one for one in warnings if not one.startswith("output_dir:"))
        if not quiet and os.environ.get("RANK", "0") == "0":
            for warning in filter(None, (*warnings, _lone_process())):
                _say(f"warning: {warning}")
        from rtrl_chem.training.run import train as run

        allowed = allow_changed or ()
        with _stdout_for_events(as_json) as events:
            run(checked, resume=resume, overwrite=overwrite, quiet=quiet, events=events, allow_changed=allowed)


@app.command()
def evaluate(
    what: Annotated[
        str | None,
        typer.Argument(metavar="SUITE|CONFIG", help="A suite of eval/ by name, or a YAML file of a suite or a run."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="PATH", help="The model to measure.")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help="Suite: folder of local copies, instead of the Hub. Config: labelled pairs, instead of its own.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where predictions and metrics go.")] = None,
    parts: Annotated[
        list[str] | None, typer.Option("--part", metavar="NAME", help="Of a suite only this part; repeatable.")
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--compare", metavar="A B", help="Two evaluations' folders, or two prediction files: B minus A."),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", metavar="T", help="Of two prediction files: what they answer.")
    ] = None,
    direction: Annotated[
        Direction | None, typer.Option("--direction", help="Of two prediction files; told by the rows if not given.")
    ] = None,
    overrides: Overrides = None,
    debug: Debug = False,
) -> None:
    """Measure a model on a suite or on a config's held-out data; or compare two such measurements."""
    with _errors_on_one_line(debug):
        if compare is not None:
            unused = {"SUITE|CONFIG": what, "--model": model, "--data": data, "--part": parts, "--set": overrides}
            if given := [name for name, value in unused.items() if value]:
                raise ConfigError(f"--compare A B reads what two evaluations wrote: leave {', '.join(given)} out")
            _compare(compare, task, direction, out)
        elif what is None or model is None:
            raise ConfigError("evaluate: give SUITE or CONFIG and --model PATH, or --compare A B")
        elif task is not None or direction is not None:
            raise ConfigError("--task, --direction: only --compare takes them; a suite and a config say it themselves")
        else:
            _evaluate(what, model, data, out, overrides or [], parts or [])


def _evaluate(
    what: str, model: str, data: str | None, out: Path | None, overrides: list[str], parts: list[str]
) -> None:
    from rtrl_chem.evaluation.suites.schema import is_suite, load_suite

    if is_suite(what):
        # JSON is YAML with every quote in place, whatever characters a path has.
        suite = load_suite(what, [f"model.path={json.dumps(model)}", *overrides]).only(parts)
        from rtrl_chem.evaluation.suites.run import evaluate_suite

        evaluate_suite(suite, Path(data) if data is not None else None, out)
        return
    if parts:
        raise ConfigError(f"--part {parts[0]}: {what} is a config, which has no parts; give a suite")
    loaded = load_config(what, [*overrides, *_held_out(data)])
    from rtrl_chem.evaluation.run import evaluate as run

    run(loaded, model, out)


def _compare(
    sides: tuple[Path, Path],
    task: str | None,
    direction: Direction | None,
    out: Path | None,
) -> None:
    from rtrl_chem.evaluation.compare import compare as run

    run(*sides, task=task, direction=direction, out=out)


@app.command()
def metrics(
    predictions: Annotated[Path, typer.Argument(metavar="PREDICTIONS", help="JSON Lines, or MolT5's TSV.")],
    task: Annotated[str, typer.Option("--task", metavar="T", help="naming, reaction, captioning or a task's YAML.")],
    direction: Annotated[
        Direction | None, typer.Option("--direction", help="Which way the outputs go; told by the rows if not given.")
    ] = None,
    compat: Annotated[
        str | None, typer.Option("--compat", metavar="DIALECT", help="Print what molt5, smolinstruct or rxn prints.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
    vocabulary: Annotated[
        Path | None, typer.Option("--vocab", metavar="FILE", help="Word pieces for captions: SciBERT's vocab.txt.")
    ] = None,
    wordnet: Annotated[
        Path | None, typer.Option("--wordnet", metavar="DIR", help="WordNet's files for METEOR, if not installed.")
    ] = None,
    fcd: Annotated[
        bool | None, typer.Option("--fcd/--no-fcd", help="Fréchet ChemNet distance; default: under molt5 only.")
    ] = None,
    opsin: Annotated[bool, typer.Option("--opsin/--no-opsin", help="Let OPSIN read names.")] = True,
    resamples: Annotated[int, typer.Option("--resamples", min=1, help="Bootstrap resamples.")] = 1_000,
    confidence: Annotated[float, typer.Option("--confidence", help="Of the intervals, between 0 and 1.")] = 0.95,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap.")] = 0,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, help="Processes to use; default: by the number of rows.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Measure any model's saved outputs: the field's metrics with intervals, or a reference script's numbers."""
    with _errors_on_one_line(debug):
        if not 0 < confidence < 1:
            raise ConfigError(f"--confidence: got {confidence}, must be between 0 and 1, such as 0.95")
        from rtrl_chem.evaluation.saved import Request, measure_saved

        request = Request(
            path=predictions,
            task=task,
            direction=direction,
            compat=compat,
            vocabulary=vocabulary,
            wordnet=wordnet,
            fcd=fcd,
            opsin=opsin,
            resamples=resamples,
            confidence=confidence,
            seed=seed,
            processes=processes,
        )
        measure_saved(request, as_json)


@runs_app.callback(invoke_without_command=True)
def runs(
    context: typer.Context,
    root: Annotated[Path, typer.Option("--in", metavar="DIR", help="The folder that holds the runs.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    debug: Debug = False,
) -> None:
    """List runs: state, step, round-trip consistency and gain. `runs compare A B` puts two side by side."""
    if context.invoked_subcommand is None:
        with _errors_on_one_line(debug):
            from rtrl_chem.reporting.runs import list_runs

            list_runs(root, as_json=as_json)


@runs_app.command("compare")
def compare_two_runs(
    a: Annotated[Path, typer.Argument(metavar="A", help="A run folder.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
    debug: Debug = False,
) -> None:
    """Where the configs of two runs differ, and what they measured, side by side."""
    with _errors_on_one_line(debug):
        from rtrl_chem.reporting.runs import compare_runs

        compare_runs(a, b, as_json=as_json)


@app.command()
def score(
    config: ConfigPath,
    pairs: Annotated[
        Path, typer.Argument(metavar="PAIRS", help="JSON Lines: source, output; optional direction, target.")
    ],
    model: Annotated[
        str | None, typer.Option("--model", metavar="PATH", help="The frozen reverse model; default: the config's.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Instead of stdout.")] = None,
    overrides: Overrides = None,
    debug: Debug = False,
) -> None:
    """Say what a config's reward makes of given pairs, and why: a JSON line for each."""
    with _errors_on_one_line(debug):
        loaded = load_config(config, overrides or [])
        from rtrl_chem.evaluation.score_pairs import score_pairs

        score_pairs(loaded, pairs, model, out)


@app.command()
def prepare(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Files, folders, globs, Hub data sets, bundled:NAME.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="CORPUS", help="The folder to make.")],
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings in YAML; default: those of the docs.")
    ] = None,
    overrides: Overrides = None,
    dedup: Annotated[
        str | None, typer.Option("--dedup", metavar="KEY", help="canonical, inchikey, stereo_free or none.")
    ] = None,
    split: Annotated[str | None, typer.Option("--split", metavar="HOW", help="none, hash or scaffold.")] = None,
    benchmarks: Annotated[
        str | None,
        typer.Option("--benchmarks", metavar="DIR", help="Remove what is in them: local copies; hub, bundled or none."),
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes; default: one per core.")] = None,
    engine: Annotated[str, typer.Option("--engine", metavar="NAME", help="processes or dask.")] = "processes",
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster, such as tcp://host:8786.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete the corpus in CORPUS first.")] = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Clean, deduplicate and decontaminate molecules or reactions of any number; an interrupted call goes on."""
    with _errors_on_one_line(debug):
        given = {"dedup": dedup, "split.method": split, "benchmarks": benchmarks}
        # JSON is YAML with every quote in place, whatever characters a path has.
        flags = [f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None]
        from rtrl_chem.data.prepare.engine import make_engine
        from rtrl_chem.data.prepare.run import Request
        from rtrl_chem.data.prepare.run import prepare as run
        from rtrl_chem.data.prepare.settings import load_settings
        from rtrl_chem.evaluation.suites.structures import benchmark_structures

        settings = load_settings(config, [*(overrides or []), *flags])
        request = Request(tuple(inputs), out, settings, overwrite, quiet)
        run(request, make_engine(engine, workers, scheduler), benchmark_structures)


@app.command()
def inspect(
    corpus: Annotated[
        str, typer.Argument(metavar="CORPUS", help="A prepared corpus, or a file of molecules or pairs.")
    ],
    task: Annotated[
        str | None, typer.Option("--task", metavar="T", help="The file holds the labelled pairs of this task.")
    ] = None,
    field: Annotated[
        list[str] | None, typer.Option("--field", metavar="NAME", help="Its column; of pairs twice: left, right.")
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option("--tokenizer", metavar="MODEL", help="Count the tokens of this model.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="And how many rows have more than this.")
    ] = None,
    benchmarks: Annotated[
        Path | None,
        typer.Option("--benchmarks", metavar="DIR", help="Local copies of the suites' data, see eval/README.md."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write a page, plots and numbers.")] = None,
    sample: Annotated[int, typer.Option("--sample", min=1, help="Rows to look at closely.")] = 20_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Chooses them.")] = 0,
    processes: Annotated[int, typer.Option("--processes", min=1, help="To look at them with.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
    debug: Debug = False,
) -> None:
    """Say what is in a corpus or a file of pairs, and what is wrong with it."""
    with _errors_on_one_line(debug):
        from rtrl_chem.data.inspect import Options
        from rtrl_chem.reporting.inspect_corpus import Request, inspect_corpus

        options = Options(sample, seed, processes, tokenizer, max_tokens)
        request = Request(corpus, task, tuple(field or ()), out, benchmarks, options)
        inspect_corpus(request, as_json)


@app.command("make-pairs")
def make_pairs(
    molecules: Annotated[str, typer.Argument(metavar="INPUT", help="A prepared corpus, or a file of molecules.")],
    task: Annotated[str, typer.Option("--task", metavar="T", help="naming, reaction or captioning.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help=".jsonl, .tsv (both also .gz) or .parquet.")],
    field: Annotated[str | None, typer.Option("--field", metavar="NAME", help="The column of molecules.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Use only so many rows.")] = None,
    names: Annotated[bool, typer.Option("--names", help="Captions tell the IUPAC name, where OPSIN agrees.")] = False,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Time that one name may take.")] = 10.0,
    per_template: Annotated[int, typer.Option("--per-template", min=1, help="Reactions kept of each kind.")] = 1300,
    max_block_atoms: Annotated[
        int, typer.Option("--max-block-atoms", min=2, help="Heavy atoms of a building block.")
    ] = 12,
    max_product_atoms: Annotated[
        int, typer.Option("--max-product-atoms", min=4, help="Heavy atoms of a product.")
    ] = 24,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Chooses phrasings and building blocks.")] = 0,
    processes: Annotated[int, typer.Option("--processes", min=1, help="To work with.")] = 2,
    debug: Debug = False,
) -> None:
    """Make labelled pairs from molecules: checked names, template reactions, captions of facts."""
    with _errors_on_one_line(debug):
        from rtrl_chem.data.make_pairs.reactions import Recipe
        from rtrl_chem.data.make_pairs.run import Request
        from rtrl_chem.data.make_pairs.run import make_pairs as run
        from rtrl_chem.reporting.progress import progress_line
        from rtrl_chem.terminal import Console

        recipe = Recipe(max_block_atoms, max_product_atoms=max_product_atoms, cap=per_template, seed=seed)
        request = Request(task, molecules, out, field, limit, names, seed, processes, seconds, recipe)
        with progress_line(Console(stderr=True)) as on_progress:
            made = run(request, on_progress)
        _say(made.summary())


@app.command()
def validate(config: ConfigPath, overrides: Overrides = None, debug: Debug = False) -> None:
    """Check a config and what it names, in a moment and without loading a model."""
    with _errors_on_one_line(debug):
        found = _checked(config, overrides, _processes())
        for warning in found.warnings:
            _say(f"warning: {warning}")
        checked = found.config
        order = (" + " if checked.schedule == "joint" else " -> ").join(map(str, checked.directions))
        plan = f"{checked.rounds} x ({order}), {checked.steps_per_phase} steps each"
        regimes = " + ".join(checked.regimes)
        _say(f"{config}: ok ({checked.task}, {regimes}, {checked.algorithm}, {plan})")


@app.command()
def schema() -> None:
    """Print the JSON schema of a config."""
    typer.echo(json.dumps(json_schema(), indent=2))


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rtrl-chem {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Round-trip reinforcement learning for chemical language models."""


class _Checked(NamedTuple):
    config: Config
    warnings: tuple[str, ...]


def _checked(path: Path, overrides: list[str] | None, processes: int | None) -> _Checked:
    """The config in `path`, everything it names looked up."""
    config = load_config(path, overrides or [])
    findings = look_up(config, processes)
    if findings.problems:
        raise ConfigError(findings.problems, str(path))
    return _Checked(config, findings.warnings)


def _processes() -> int | None:
    """Number of processes `accelerate launch` or `torchrun` started; None outside of them."""
    size = os.environ.get("WORLD_SIZE", "")
    return int(size) if size.isdecimal() and int(size) > 0 else None


def _lone_process() -> str | None:
    """A warning where `accelerate launch --cpu --num_processes N` was given: without MPI it starts one process."""
    wants_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")
    if wants_cpu and "MASTER_ADDR" in os.environ and "WORLD_SIZE" not in os.environ:
        return (
            "accelerate was asked for several processes on CPUs and started one, this; for more use "
            "torchrun --nproc_per_node N -m rtrl_chem train ..."
        )
    return None


@contextmanager
def _stdout_for_events(wanted: bool) -> Iterator[TextIO | None]:
    """Standard output, and meanwhile to stderr what any library prints; None where no events are wanted."""
    if not wanted:
        yield None
        return
    events = sys.stdout
    with redirect_stdout(sys.stderr):
        yield events


def _held_out(data: str | None) -> list[str]:
    """`--data` as overrides: these pairs, and nothing else that is held out."""
    if data is None:
        return []
    # JSON is YAML with every quote in place, whatever characters a path has.
    return [f"evaluation.pairs={json.dumps(data)}", "evaluation.molecules=null", "evaluation.outputs=null"]


def _say(text: str) -> None:
    """A line on stderr, with nothing in it that commands a terminal."""
    from rtrl_chem.terminal import visible  # imports rich

    typer.echo(visible(text), err=True)


@contextmanager
def _errors_on_one_line(debug: bool) -> Iterator[None]:
    """Turn what a user can cause into `error: ...` and an exit status; a bug keeps its traceback."""
    try:
        yield
    except Interrupted as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_status) from None
    except RtrlError as error:
        if debug:
            traceback.print_exc()
        _say(f"error: {error}")
        raise typer.Exit(error.exit_status) from None
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(130) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on `arguments` (default: those of the process) and return the exit status."""
    try:
        return app(arguments, prog_name="rtrl-chem", standalone_mode=False) or 0
    except UsageError as error:
        message = getattr(error, "format_message", error.__str__)()
        _say(f"error: {' '.join(message.split())} See rtrl-chem --help.")
        return 2
    except typer.Abort:
        print("interrupted", file=sys.stderr)
        return 130

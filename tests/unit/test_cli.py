"""The command line: arguments to one call, one-line errors, exit statuses, no torch where none is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rtrl_chem import __version__
from rtrl_chem.cli import main
from rtrl_chem.config import json_schema
from rtrl_chem.errors import CorpusError, RunFolderError

ROOT = Path(__file__).parents[2]
QUICKSTART = str(ROOT / "configs" / "quickstart.yaml")
HEAVY = {"torch", "transformers", "trl", "peft", "rdkit", "datasets", "pandas", "numpy"}


class Recorder:
    """Stands for a function of another part: keeps its arguments, and raises what it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.error: BaseException | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append((args, kwargs))
        if self.error is not None:
            raise self.error


def stand_in(monkeypatch: pytest.MonkeyPatch, package: str, function: str) -> Recorder:
    recorder = Recorder()
    module = ModuleType(f"{package}.run")
    setattr(module, function, recorder)
    if package != "rtrl_chem.evaluation":  # that one is empty; importing the others would bring torch
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return recorder


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return stand_in(monkeypatch, "rtrl_chem.training", "train")


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return stand_in(monkeypatch, "rtrl_chem.evaluation", "evaluate")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param([], {"resume": False, "overwrite": False, "quiet": False}, id="plain"),
        pytest.param(["--resume"], {"resume": True, "overwrite": False, "quiet": False}, id="resume"),
        pytest.param(["--overwrite", "--quiet"], {"resume": False, "overwrite": True, "quiet": True}, id="overwrite"),
        pytest.param(
            ["--resume", "--allow-changed", "seed", "--allow-changed", "packages"],
            {"resume": True, "overwrite": False, "quiet": False, "allow_changed": ["seed", "packages"]},
            id="changed",
        ),
    ],
)
def test_train_is_one_call(training: Recorder, options: list[str], expected: dict[str, bool]) -> None:
    assert main(["train", QUICKSTART, "--set", "rounds=2", "--set", "seed=5", *options]) == 0
    [((config,), given)] = training.calls
    assert (config.rounds, config.seed) == (2, 5)
    assert given == {"allow_changed": (), "events": None} | expected


@pytest.mark.parametrize(
    ("options", "rank", "warned"),
    [
        pytest.param([], None, True, id="alone"),
        pytest.param([], "0", True, id="the main process"),
        pytest.param([], "1", False, id="another process"),
        pytest.param(["--quiet"], None, False, id="quiet"),
    ],
)
def test_what_validate_warns_of_train_says_too(
    training: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    rank: str | None,
    warned: bool,
) -> None:
    (Path("runs") / "old").mkdir(parents=True)
    monkeypatch.setattr("rtrl_chem.preflight._push_findings", lambda config: (None, ["no token"]))
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    assert main(["train", QUICKSTART, "--set", "output_dir=runs", "--overwrite", *options]) == 0
    assert capsys.readouterr().err == ("warning: no token\n" if warned else "")
    assert len(training.calls) == 1


@pytest.mark.parametrize(("options", "events"), [(["--json"], "{}\n"), ([], "")], ids=["--json", "without"])
def test_stdout_is_for_events_alone(
    training: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    events: str,
) -> None:
    def train(config: Any, *, events: Any, **given: Any) -> None:
        print("a library")
        if events is not None:
            print("{}", file=events)

    monkeypatch.setattr(sys.modules["rtrl_chem.training.run"], "train", train)
    assert main(["train", QUICKSTART, *options]) == 0
    assert capsys.readouterr() == (events, "a library\n")


@pytest.mark.parametrize(
    ("options", "pairs", "out"),
    [
        pytest.param([], "bundled:naming/test", None, id="the config's data"),
        pytest.param(["--data", "a: [b].tsv", "--out", "o"], "a: [b].tsv", Path("o"), id="other data"),
    ],
)
def test_evaluate_is_one_call(evaluation: Recorder, options: list[str], pairs: str, out: Path | None) -> None:
    more = ["--set", "evaluation.outputs=x.txt"] if options else []
    assert main(["evaluate", QUICKSTART, "--model", "some/model", *more, *options]) == 0
    [((config, model, given_out), _)] = evaluation.calls
    assert (model, given_out) == ("some/model", out)
    assert (config.evaluation.pairs, config.evaluation.outputs) == (pairs, None)


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        pytest.param(CorpusError("my.smi is empty"), 1, "error: my.smi is empty\n", id="the work failed"),
        pytest.param(RunFolderError("runs/x exists"), 2, "error: runs/x exists\n", id="the call is wrong"),
        pytest.param(KeyboardInterrupt(), 130, "interrupted\n", id="interrupted"),
        pytest.param(
            PermissionError(13, "Permission denied", "a.smi"),
            1,
            "error: 'a.smi': Permission denied; give a place that can be read and written (--debug shows who asked)\n",
            id="the system refused",
        ),
    ],
)
def test_an_error_is_one_line_and_a_status(
    training: Recorder, capsys: pytest.CaptureFixture[str], error: BaseException, status: int, line: str
) -> None:
    training.error = error
    assert main(["train", QUICKSTART]) == status
    assert capsys.readouterr() == ("", line)


def test_debug_adds_the_traceback(training: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    training.error = CorpusError("my.smi is empty")
    assert main(["train", QUICKSTART, "--debug"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):")
    assert err.endswith("error: my.smi is empty\n")


@pytest.mark.parametrize(
    ("call", "status", "said"),
    [
        pytest.param(
            ["inspect", "x.smi", "--out"], 2, "cannot be made one (Not a directory); name another", id="inspect"
        ),
        pytest.param(["make-pairs", "x.smi", "--task", "captioning", "--out"], 2, "name another", id="make-pairs"),
        pytest.param(["prepare", "x.smi", "--quiet", "--out"], 1, "then give the same call again", id="prepare"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_line(
    call: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("x.smi").write_text("CCO\n")
    Path("file").touch()
    assert main([*call, "file/x.jsonl"]) == status
    [line] = [one for one in capsys.readouterr().err.splitlines() if one.startswith("error:")]
    assert "file" in line and said in line


def test_a_bug_keeps_its_traceback(training: Recorder) -> None:
    training.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        main(["train", QUICKSTART])


WRONG_CALLS: list[tuple[str, list[str], str]] = [
    ("no verb", [], "Missing command"),
    ("an unknown verb", ["trian"], "trian"),
    ("no config", ["train"], "CONFIG"),
    ("an unknown option", ["train", QUICKSTART, "--fast"], "--fast"),
    ("no model", ["evaluate", QUICKSTART], "--model"),
    ("nothing to evaluate", ["evaluate"], "or --compare A B"),
    ("an unknown suite", ["evaluate", "chebi2o", "--model", "m"], "no suite 'chebi2o': did you mean 'chebi20'?"),
    ("a part of a config", ["evaluate", QUICKSTART, "--model", "m", "--part", "x"], "is a config, which has no parts"),
    ("an unknown part", ["evaluate", "naming", "--model", "m", "--part", "x"], "--part x: naming has none"),
    ("a key of a suite", ["evaluate", "naming", "--model", "m", "--set", "sise=3"], "did you mean 'size'?"),
    ("compare and a suite", ["evaluate", "naming", "--compare", "a", "b"], "leave SUITE|CONFIG out"),
    ("nothing to compare", ["evaluate", "--compare", "a", "b"], "--compare a: no such file or folder"),
    ("a task of a suite", ["evaluate", "naming", "--model", "m", "--task", "naming"], "only --compare takes them"),
    ("a missing file", ["train", "no.yaml"], "no.yaml: cannot be read (No such file or directory)"),
    ("a misspelt key", ["validate", QUICKSTART, "--set", "rouds=1"], "rouds: unknown key; did you mean 'rounds'?"),
    ("no equals sign", ["validate", QUICKSTART, "--set", "rounds"], "--set rounds: must be key=value"),
    ("zero steps", ["train", QUICKSTART, "--set", "steps_per_phase=0"], "steps_per_phase: got 0"),
    ("missing data", ["validate", QUICKSTART, "--set", "data.molecules=no.smi"], "data.molecules: no file 'no.smi'"),
    ("resume and overwrite", ["train", QUICKSTART, "--resume", "--overwrite"], "--resume and --overwrite: got both"),
    ("nothing to inspect", ["inspect", "no.smi"], "no file 'no.smi'"),
    ("a folder to inspect", ["inspect", "."], "make one of its files by `rtrl-chem prepare"),
    ("a limit alone", ["inspect", "no.smi", "--max-tokens", "9"], "needs --tokenizer MODEL"),
    ("pairs of what", ["make-pairs", "no.smi", "--task", "nameing", "--out", "a.tsv"], "did you mean 'naming'?"),
    ("pairs to nowhere", ["make-pairs", "no.smi", "--task", "reaction", "--out", "a.doc"], "must end in .jsonl"),
    ("half a group", ["train", QUICKSTART, "--set", "trainer.per_device_train_batch_size=1"], "num_generations: got 8"),
]


@pytest.mark.parametrize(("arguments", "message"), [c[1:] for c in WRONG_CALLS], ids=[c[0] for c in WRONG_CALLS])
def test_a_wrong_call_is_one_line_and_status_2(
    training: Recorder, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert training.calls == []


def test_validate_says_what_will_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", QUICKSTART, "--set", "directions=[reverse]", "--set", "rounds=3"]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{QUICKSTART}: ok (naming, self_supervised, grpo, 3 x (reverse), 100 steps each)\n")


def test_validate_warns_of_an_existing_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").touch()
    assert main(["validate", QUICKSTART, "--set", f"output_dir={tmp_path}"]) == 0
    assert capsys.readouterr().err.startswith("warning: output_dir:")


@pytest.mark.parametrize(("size", "status"), [("1", 2), ("8", 0), ("", 0)], ids=["one", "eight", "unknown"])
def test_validate_knows_the_processes(monkeypatch: pytest.MonkeyPatch, size: str, status: int) -> None:
    monkeypatch.setenv("WORLD_SIZE", size)
    assert main(["validate", QUICKSTART, "--set", "trainer.per_device_train_batch_size=1"]) == status


def test_inspect_prints_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.smi").write_text("CCO\nbad\n")
    assert main(["inspect", "a.smi", "--json", "--processes", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 2


def test_make_pairs_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.smi").write_text("CCO\nbad\n")
    assert main(["make-pairs", "a.smi", "--task", "captioning", "--out", "b.tsv"]) == 0
    line = "b.tsv: 1 pairs from 2 rows (does not parse 1; see b.rejects.jsonl)\n"
    assert capsys.readouterr() == ("", line)


def test_schema_is_json_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rtrl-chem {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["validate", QUICKSTART], ["schema"], ["--help"], ["--version"]], ids=lambda arguments: arguments[0]
)
def test_no_heavy_library_is_imported(arguments: list[str]) -> None:
    code = f"import sys; from rtrl_chem.cli import main; status = main({arguments!r})\n"
    code += f"print(status, *(set({sorted(HEAVY)!r}) & set(sys.modules)), file=sys.stderr)"
    result = _python("-c", code)
    assert result.stderr.splitlines()[-1] == "0"


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=60, check=False
    )

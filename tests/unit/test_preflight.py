"""What a config names is looked up before any work; what might be on the Hub is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rtrl_chem import preflight
from rtrl_chem.config import config_from_mapping, load_config
from rtrl_chem.data.bundled import bundled_names
from rtrl_chem.preflight import Findings, bundled_data, bundled_models, look_up

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with corpora, a model, a GGUF model, a run and a plain file."""
    for name in ("mols.smi", "mols.xyz", "model/config.json", "gguf/m.gguf", "adapter/adapter_config.json", "run/a"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("CCO\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "manifest.json").write_text('{"format": "rtrl-chem corpus", "version": 1, "splits": {}}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def findings(processes: int | None = None, **changes: Any) -> Findings:
    raw = {"task": "naming", "model": {"path": "model"}, "data": {"molecules": "mols.smi"}, "output_dir": "runs/x"}
    return look_up(config_from_mapping(raw | changes), processes)


@pytest.mark.parametrize("name", ["quickstart", "reaction"])
def test_what_the_ready_configs_name_is_there(name: str) -> None:
    assert look_up(load_config(CONFIGS / f"{name}.yaml"), 1) == Findings((), ())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="a file and a folder"),
        pytest.param({"data": {"outputs": "bundled:naming/test"}}, id="bundled data"),
        pytest.param({"data": {"molecules": "some-org/some-set"}}, id="a Hub data set"),
        pytest.param({"data": {"molecules": "corpus"}, "evaluation": {"molecules": "corpus"}}, id="a prepared corpus"),
        pytest.param({"data": {"outputs": ["mols.smi", {"path": "corpus", "weight": 2}]}}, id="a mixture"),
        pytest.param({"data": {"molecules": "mols.xyz", "format": "smi"}}, id="a format that is said"),
        pytest.param({"model": {"path": "bundled:tiny"}}, id="a bundled model"),
        pytest.param({"model": {"path": "gpt2"}}, id="a Hub model"),
        pytest.param({"model": {"path": "some-org/model-v1.0"}}, id="a Hub model of an organisation"),
        pytest.param({"model": {"path": "gguf", "gguf_file": "m.gguf"}}, id="GGUF"),
        pytest.param({"model": {"path": "adapter"}}, id="an adapter"),
        pytest.param({"output_dir": "empty"}, id="an empty output folder"),
        pytest.param({"rewards": {"referee": {"model": {"path": "model"}}}}, id="a model as referee"),
        pytest.param({"rewards": {"supervised": 0, "referee": 0, "likelihood": 1}}, id="terms that are off"),
        pytest.param({"rewards": {"supervised": 1}, "data": {"pairs": "mols.smi"}}, id="labels"),
    ],
)
def test_nothing_to_say(changes: dict[str, Any]) -> None:
    assert findings(**changes) == Findings((), ())


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("a missing file", {"data": {"molecules": "no.smi"}}, "data.molecules: no file 'no.smi'"),
    ("a misspelt file here", {"data": {"pairs": "run/mols"}}, "data.pairs: no file 'run/mols'"),
    ("a name without a folder", {"data": {"molecules": "mols"}}, "data.molecules: no file 'mols'"),
    ("a folder of data", {"data": {"molecules": "run"}}, "data.molecules: 'run' is a folder, but no prepared corpus"),
    ("a file of a mixture", {"data": {"pairs": ["mols.smi", "no.smi"]}}, "data.pairs: corpus 2: no file 'no.smi'"),
    (
        "a prepared corpus as a stream",
        {"data": {"molecules": "corpus", "streaming": {}}, "evaluation": {"molecules": "mols.smi"}},
        "data.molecules: 'corpus' is a prepared corpus, read at random; leave data.streaming out",
    ),
    ("an unknown ending", {"data": {"molecules": "mols.xyz"}}, "data.molecules: 'mols.xyz' ends in none of"),
    ("no such bundled data", {"data": {"outputs": "bundled:naming/tst"}}, "did you mean 'bundled:naming/test'?"),
    ("held-out data", {"evaluation": {"pairs": "no.csv"}}, "evaluation.pairs: no file 'no.csv'"),
    ("no such bundled model", {"model": {"path": "bundled:tny"}}, "did you mean 'bundled:tiny'?"),
    ("a missing folder", {"model": {"path": "./no"}}, "model.path: no folder './no'"),
    ("a misspelt folder here", {"model": {"path": "run/no"}}, "model.path: no folder 'run/no'"),
    ("a folder without a model", {"model": {"path": "run"}}, "it has no config.json"),
    ("a missing GGUF", {"model": {"path": "gguf", "gguf_file": "x.gguf"}}, "it has no x.gguf"),
    ("a file for a model", {"model": {"path": "gguf/m.gguf"}}, "'gguf/m.gguf' is a file"),
    ("no labels", {"rewards": {"supervised": 1}}, "rewards.supervised: there are no labels; give data.pairs"),
    ("no such referee", {"rewards": {"referee": {"model": {"path": "./no"}}}}, "rewards.referee.model.path: no folder"),
    ("no such reward file", {"rewards": {"mine": {"file": "mine.py"}}}, "rewards.mine.file: no file 'mine.py'"),
    ("a file for the output", {"output_dir": "mols.smi"}, "is, or is inside, a file"),
    ("a folder inside a file", {"output_dir": "mols.smi/x"}, "is, or is inside, a file"),
]


@pytest.mark.parametrize(("changes", "message"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_what_is_not_there_is_a_problem(changes: dict[str, Any], message: str) -> None:
    (problem,) = findings(**changes).problems
    assert message in problem


def test_an_existing_run_is_a_warning() -> None:
    found = findings(output_dir="run")
    assert found.problems == ()
    assert found.warnings == ("output_dir: 'run' exists; train will need --resume or --overwrite",)


@pytest.mark.parametrize(
    ("processes", "algorithm", "kind"),
    [
        pytest.param(None, "grpo", "warnings", id="unknown"),
        pytest.param(1, "grpo", "problems", id="one"),
        pytest.param(8, "grpo", None, id="eight"),
        pytest.param(1, "rloo", "problems", id="one, of pairs"),
        pytest.param(1, "ppo", "problems", id="one, of groups that PPO does not need"),
        pytest.param(1, "sft", None, id="no groups in sft"),
    ],
)
def test_a_batch_that_fits_eight_processes(processes: int | None, algorithm: str, kind: str | None) -> None:
    found = findings(
        processes,
        algorithm=algorithm,
        data={"pairs": "mols.smi"},
        trainer={"per_device_train_batch_size": 1},
    )
    assert {name for name in ("problems", "warnings") if getattr(found, name)} == ({kind} if kind else set())


def test_bundled_names_are_those_of_the_readers() -> None:
    assert bundled_data() == ["bundled:" + name for name in bundled_names()]
    assert "bundled:tiny" in bundled_models()


def test_packages_that_a_reward_needs_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    silent = {"trainer": {"report_to": "none"}}
    (problem,) = findings(rewards={"referee": 1}, **silent).problems
    assert problem.startswith("rewards.referee: OPSIN needs Java")
    captions = {"task": "captioning", "data": {"pairs": "mols.smi"}, "rewards": {"supervised": 1}} | silent
    (problem,) = findings(**captions).problems
    assert problem.startswith("rewards.supervised.prose: ROUGE needs rouge-score")
    assert findings(**captions, directions=["reverse"]) == Findings((), ())


@pytest.mark.parametrize(
    ("name", "token", "problem", "warning"),
    [
        pytest.param("org/x", "hf_x", None, None, id="all there"),
        pytest.param(None, None, None, "there is no token; set HF_TOKEN", id="no token"),
        pytest.param(
            "a/b/c", "hf_x", "trainer.hub_model_id: got 'a/b/c', must be org/name or name", None, id="no name"
        ),
    ],
)
def test_a_push_that_could_only_fail_is_told_before_training(
    monkeypatch: pytest.MonkeyPatch, name: str | None, token: str | None, problem: str | None, warning: str | None
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "get_token", lambda: token)
    found = findings(trainer={"push_to_hub": True} | ({"hub_model_id": name} if name else {}))
    assert list(found.problems) == ([problem] if problem else [])
    assert [warning in given for given in found.warnings if warning] == ([True] if warning else [])
    assert findings() == Findings((), ())


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        pytest.param({}, True, id="the adapter alone"),
        pytest.param({"save_merged": True}, False, id="merged"),
        pytest.param({"model": {"path": "org/x", "lora": {"r": 4}}}, False, id="over a model of the Hub"),
    ],
)
def test_a_push_of_an_adapter_that_nobody_else_can_load_is_told(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], warned: bool
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_x")
    found = findings(**{"trainer": {"push_to_hub": True}, "model": {"path": "bundled:tiny", "lora": {"r": 4}}, **changes})
    assert ["names as 'bundled:tiny'" in warning for warning in found.warnings] == [True] * warned


@pytest.mark.parametrize(
    ("report_to", "missing"),
    [
        pytest.param({}, ["tensorboard"], id="by default"),
        pytest.param({"report_to": ["wandb", "comet_ml"]}, ["wandb", "comet-ml"], id="two"),
        pytest.param({"report_to": "all"}, [], id="all that are there"),
        pytest.param({"report_to": "none"}, [], id="none"),
    ],
)
def test_a_tracker_that_is_not_installed_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, report_to: dict[str, Any], missing: list[str]
) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    problems = findings(trainer=report_to).problems
    assert [problem.split("pip install ")[1].split(",")[0] for problem in problems] == missing


def test_the_folder_that_a_tracker_leaves_is_no_installed_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "swanlab").mkdir()
    monkeypatch.syspath_prepend(str(folder))
    (problem,) = findings(trainer={"report_to": "swanlab"}).problems
    assert "pip install swanlab" in problem

"""Every ready config of a regime, schedule or arrangement runs from end to end, on less."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rtrl_chem.cli import main
from rtrl_chem.config import load_config
from rtrl_chem.training.phase import plan

CONFIGS = Path(__file__).parents[2] / "configs"
MOLECULES = ["CCO", "CCC", "CCN", "CCCC", "CCCO", "CC(C)O", "CCS", "CC=O", "CCOC", "CCCl", "CC#N", "OCCO", "NCCN"]
PAIRS = {"CCBr": "bromoethane", "CCF": "fluoroethane", "CCI": "iodoethane", "CBr": "bromomethane", "CI": "iodomethane"}
LESS = {
    "rounds": 1,
    "steps_per_phase": 1,
    "supervised.warm_up_steps": 1,
    "synthetic.steps": 1,
    "trainer.per_device_train_batch_size": 2,
    "trainer.gradient_accumulation_steps": 2,
    "trainer.num_generations": 2,
    "evaluation.size": 3,
    "evaluation.referee": False,
    "evaluation.resamples": 50,
    "guards.size": 3,
}


def less(name: str, folder: Path) -> list[str]:
    """`--set` for what the config has of it."""
    (folder / "molecules.smi").write_text("\n".join(MOLECULES))
    (folder / "pairs.tsv").write_text("smiles\tname\n" + "".join(f"{x}\t{y}\n" for x, y in PAIRS.items()))
    given = load_config(CONFIGS / f"{name}.yaml").model_dump(exclude_unset=True)
    wanted: dict[str, Any] = LESS | {
        "data.molecules": folder / "molecules.smi",
        "data.pairs": folder / "pairs.tsv",
        "output_dir": folder / "run",
    }

    def has(key: str) -> bool:
        section, _, field = key.partition(".")
        return section in given and (not field or section in ("trainer", "evaluation") or field in given[section])

    values = {key: str(value) if isinstance(value, Path) else value for key, value in wanted.items() if has(key)}
    return [word for key, value in values.items() for word in ("--set", f"{key}={json.dumps(value)}")]


@pytest.mark.parametrize("name", ["supervised", "synthetic", "combined", "joint", "adapters"])
def test_a_ready_config_runs(name: str, tmp_path: Path) -> None:
    options = less(name, tmp_path)
    assert main(["train", str(CONFIGS / f"{name}.yaml"), "--quiet", *options]) == 0
    state = json.loads((tmp_path / "run" / "state.json").read_text())
    expected = [(p.way, str(p.kind)) for p in plan(load_config(tmp_path / "run" / "config.yaml"))]
    assert state["finished"]
    assert [(phase["direction"], phase["kind"]) for phase in state["phases"]] == expected
    assert (tmp_path / "run" / "evaluation" / "summary.json").is_file()

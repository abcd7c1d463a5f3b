"""A whole run on a tiny random model: seconds, through the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

MOLECULES = """
CCO CCC CCCC CC(C)C CCN CCCN CC(=O)O CC(=O)N c1ccccc1 Cc1ccccc1 CCOC CC(C)O C1CCCCC1 C1CCOC1 CCCl CCBr
CC#N C=CC CC=O CC(C)=O OCCO NCCN CCS CSC c1ccncc1 c1ccsc1 Oc1ccccc1 Nc1ccccc1 CCC(=O)O CC(C)(C)O
"""


@pytest.fixture(scope="session", autouse=True)
def _light(light_collections: None) -> None:
    """Every test here trains."""


@pytest.fixture(scope="session")
def write_config_in(model_folder: Path) -> Callable[..., str]:
    """`write_config_in(folder, rounds=1, trainer={...})`: the path of a config that differs from the smallest in these
    keys; its 30 molecules and its run are in `folder` too."""

    def write(folder: Path, **changes: Any) -> str:
        molecules = folder / "my.smi"
        molecules.write_text("\n".join(MOLECULES.split()) + "\n")
        config: dict[str, Any] = {
            "task": "naming",
            "model": {"path": str(model_folder), "prompt_style": "compact"},
            "data": {"molecules": str(molecules)},
            "rounds": 2,
            "steps_per_phase": 2,
            "rewards": {"likelihood": {"form": "log", "normalize": "token"}, "format": 0.2},
            "trainer": {
                "learning_rate": 1e-3,
                "per_device_train_batch_size": 4,
                "num_generations": 2,
                "max_completion_length": 8,
            },
            "evaluation": {"size": 5, "resamples": 50, "referee": False},
            "output_dir": str(folder / "run"),
            "seed": 3,
        }
        for key, value in changes.items():
            nested = isinstance(value, dict) and isinstance(config.get(key), dict)
            config[key] = config[key] | value if nested else value
        path = folder / "my.yaml"
        path.write_text(yaml.safe_dump(config))
        return str(path)

    return write


@pytest.fixture
def write_config(write_config_in: Callable[..., str], tmp_path: Path) -> Callable[..., str]:
    """The same in the test's own folder."""
    return lambda **changes: write_config_in(tmp_path, **changes)

"""The `rewards` section of a config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rtrl_chem.config import Config, config_from_mapping, dump_config, load_config
from rtrl_chem.errors import ConfigError
from rtrl_chem.rewards import options
from rtrl_chem.rewards.options import OPTIONS, Rewards, UserReward
from rtrl_chem.rewards.registry import TERMS, build_terms


def config_of(rewards: dict[str, Any], task: str = "naming") -> Config:
    return config_from_mapping(
        {
            "task": task,
            "model": {"path": "my-org/my-model"},
            "data": {"molecules": "my.smi"},
            "output_dir": "runs/x",
            "rewards": rewards,
        }
    )


@pytest.mark.parametrize(
    ("task", "rewards"),
    [
        pytest.param(
            "naming", {name: 0.5 for name in OPTIONS if name not in ("conservation", "agreement")}, id="naming"
        ),
        pytest.param("reaction", {"likelihood": 1, "conservation": 0.3, "any_order": {"k": 4}}, id="reaction"),
        pytest.param("captioning", {"information": 1, "agreement": {"measure": "precision"}}, id="captioning"),
        pytest.param("captioning", {"referee": {"model": {"path": "other/model"}}}, id="another model as referee"),
        pytest.param("naming", {"conservation": 0, "likelihood": 1}, id="a term that is off may be anything"),
        pytest.param("naming", {"mine": {"file": "mine.py", "weight": 2, "floor": -1.0, "words": ["a"]}}, id="own"),
        pytest.param("naming", {"reconstruction": {"n": 1, "temperature": 0, "equality": "inchi"}}, id="greedy"),
    ],
)
def test_it_reads_what_it_writes(task: str, rewards: dict[str, Any], tmp_path: Path) -> None:
    config = config_of(rewards, task)
    dump_config(config, tmp_path / "c.yaml")
    assert load_config(tmp_path / "c.yaml") == config
    assert set(config.rewards) == set(rewards)


def test_the_keys_of_a_reward_of_ones_own_are_its_options() -> None:
    own = config_of({"mine": {"file": "mine.py", "limit": 3, "weight": 0.5}}).rewards["mine"]  # type: ignore[typeddict-item]
    assert own == UserReward(weight=0.5, file="mine.py", limit=3)  # type: ignore[call-arg]
    assert own.options == {"limit": 3}


@pytest.mark.parametrize(
    ("rewards", "said"),
    [
        pytest.param({"liklihood": 1}, "rewards.liklihood: unknown key; did you mean 'likelihood'?", id="misspelt"),
        pytest.param({"theirs": 1}, "rewards.theirs: unknown key; choose from 'likelihood', ", id="not installed"),
        pytest.param({"likelihood": -1}, "rewards.likelihood.weight: got -1", id="negative"),
        pytest.param({"mine": {"file": "m.py", "weight": -1}}, "rewards.mine.weight: got -1", id="negative, own"),
        pytest.param({"mine": {"file": 3}}, "rewards.mine.file: got 3, must be text", id="file"),
        pytest.param({"nats": {"file": "m.py"}}, "rewards.nats: is no name for a reward", id="a column's name"),
        pytest.param({"my-own": {"file": "m.py"}}, "rewards.my-own: is no name for a reward", id="no identifier"),
        pytest.param({"any_order": {"k": 1}}, "rewards.any_order.k: got 1", id="k"),
        pytest.param(
            {"reconstruction": {"nn": 1}}, "rewards.reconstruction.nn: unknown key; did you mean 'n'?", id="nn"
        ),
        pytest.param({"reconstruction": {"temperature": 0}}, "4 samples at temperature 0 would be equal", id="equal"),
        pytest.param({"reconstruction": {"equality": None}}, "rewards.reconstruction: compares nothing", id="nothing"),
        pytest.param({"supervised": {"equality": None}}, "rewards.supervised: compares nothing", id="nothing, labels"),
        pytest.param(
            {"reconstruction": {"equality": "exact"}},
            "equality: got 'exact', must be 'task', 'isomeric'",
            id="equality",
        ),
        pytest.param(
            {"referee": {"model": {"pth": "x"}}},
            "rewards.referee.model.pth: unknown key; did you mean 'path'?",
            id="pth",
        ),
        pytest.param({"conservation": 1}, "rewards.conservation: is for tasks between structures", id="conservation"),
        pytest.param({"agreement": 1}, "rewards.agreement: is for tasks between structures and prose", id="agreement"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(rewards: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(rewards)
    [problem] = [one for one in caught.value.problems if said in one]
    assert problem.startswith("rewards.")


@pytest.mark.parametrize("task", ["reaction", "captioning"])
def test_opsin_is_for_names(task: str) -> None:
    with pytest.raises(ConfigError, match=r"rewards.referee: is for tasks between structures and IUPAC names, or give"):
        config_of({"referee": 1}, task)


def test_an_installed_reward_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "installed_rewards", lambda: {"theirs": None})
    assert config_of({"theirs": {"weight": 0.5, "limit": 3}}).reward_weights == {"theirs": 0.5}
    with pytest.raises(ConfigError, match="did you mean 'theirs'"):
        config_of({"their": 0.5})


def test_every_name_has_its_options_and_its_term() -> None:
    assert list(OPTIONS) == list(TERMS) == list(Rewards.__annotations__)


def test_a_term_without_weight_is_off() -> None:
    config = config_of({"format": 0.2, "likelihood": 0, "information": {"weight": 2.0}})
    assert {one.name: one.weight for one in build_terms(config.rewards)} == {"format": 0.2, "information": 2.0}

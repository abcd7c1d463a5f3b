"""TRL's arguments: the config's fields get through, and the counts are those of TRL's real sampler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtrl_chem.config import Config, config_from_mapping
from rtrl_chem.errors import ConfigError
from rtrl_chem.models.reverse import ReverseModel
from rtrl_chem.models.snapshot import take_snapshot
from rtrl_chem.rewards.compose import RoundTripReward
from rtrl_chem.tasks import Direction
from rtrl_chem.training.arguments import grpo_arguments, samples_per_step, sft_arguments, sources_per_phase
from rtrl_chem.training.grpo import run_grpo
from rtrl_chem.training.phase import plan

pytestmark = pytest.mark.usefixtures("light_collections")


def make_config(**trainer: Any) -> Config:
    return config_from_mapping(
        {
            "task": "naming",
            "model": {"path": "unused"},
            "data": {"molecules": "unused.smi"},
            "trainer": {"max_completion_length": 4} | trainer,
            "steps_per_phase": 2,
            "output_dir": "unused",
        }
    )


@pytest.mark.parametrize(
    ("trainer", "sources"),
    [
        pytest.param({"per_device_train_batch_size": 4, "num_generations": 2}, 4, id="plain"),
        pytest.param(
            {"per_device_train_batch_size": 2, "num_generations": 4, "gradient_accumulation_steps": 2},
            2,
            id="a group over two micro-batches",
        ),
        pytest.param(
            {"per_device_train_batch_size": 4, "num_generations": 2, "num_iterations": 2}, 2, id="each sample twice"
        ),
        pytest.param(
            {"per_device_train_batch_size": 4, "num_generations": 2, "steps_per_generation": 2}, 4, id="big generation"
        ),
        pytest.param(
            {"per_device_train_batch_size": 4, "num_generations": 2, "steps_per_generation": 3},
            6,
            id="a generation that outlasts the phase",
        ),
        pytest.param(
            {"per_device_train_batch_size": 4, "num_generations": 2, "generation_batch_size": 8}, 4, id="by its size"
        ),
    ],
)
def test_a_phase_sees_each_of_its_sources_once(
    make_policy: Callable[..., Any], tmp_path: Path, trainer: dict[str, Any], sources: int
) -> None:
    config = make_config(**trainer)
    arguments = grpo_arguments(config, plan(config)[0], tmp_path)
    assert sources_per_phase(arguments) == sources
    policy = make_policy()
    reverse = ReverseModel(take_snapshot(policy.model), policy.codec, Direction.FORWARD)
    reward = RoundTripReward(policy.codec, Direction.FORWARD, reverse, config.rewards)
    given = ["C" * (n + 1) for n in range(sources)]
    result, rows = run_grpo(policy, reward, arguments, given, [])
    assert Counter(one.source for _, one in rows) == dict.fromkeys(given, trainer["num_generations"])
    assert (result.steps, result.samples) == (2, 2 * samples_per_step(arguments))
    assert result.samples == 2 * trainer["per_device_train_batch_size"] * trainer.get("gradient_accumulation_steps", 1)


def test_the_configs_fields_get_through(tmp_path: Path) -> None:
    config = make_config(learning_rate=3e-5, beta=0.04, loss_type="dr_grpo", disable_dropout=False)
    phase = plan(config)[1]
    arguments = grpo_arguments(config, phase, tmp_path)
    assert (arguments.learning_rate, arguments.beta, arguments.loss_type) == (3e-5, 0.04, "dr_grpo")
    assert (arguments.seed, arguments.max_steps, arguments.output_dir) == (phase.seed, 2, str(tmp_path))
    assert arguments.disable_dropout is False


def test_dropout_is_off_by_default(tmp_path: Path) -> None:
    config = make_config()
    assert grpo_arguments(config, plan(config)[0], tmp_path).disable_dropout is True


def test_what_trl_refuses_is_a_config_error_in_one_line(tmp_path: Path) -> None:
    config = make_config(lr_scheduler_type="zigzag")
    for build in (grpo_arguments, sft_arguments):
        with pytest.raises(ConfigError, match=r"trainer: .*zigzag") as error:
            build(config.model_copy(update={"trainer": {"lr_scheduler_type": "zigzag"}}), plan(config)[0], tmp_path)
        assert "\n" not in str(error.value)


def test_a_phase_reports_nowhere_itself(tmp_path: Path) -> None:
    config = make_config(report_to=["tensorboard", "wandb"])
    assert grpo_arguments(config, plan(config)[0], tmp_path).report_to in ([], "none")

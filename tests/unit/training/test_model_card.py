"""The card of a trained model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import yaml

from rtrl_chem.config import config_from_mapping
from rtrl_chem.tasks import Direction
from rtrl_chem.training.model_card import model_card

CONFIG = config_from_mapping(
    {
        "task": "naming",
        "model": {"path": "org/start"},
        "data": {"molecules": "my.smi", "limit": 5},
        "rounds": 2,
        "steps_per_phase": 7,
        "output_dir": "run",
    }
)


def make_summary() -> Any:
    change = SimpleNamespace(label="round trip", before=0.25, after=0.375, difference=0.125, low=0.1, high=0.15, n=80)
    changes = SimpleNamespace(metrics={"rtc": change})
    return SimpleNamespace(directions={Direction.FORWARD: changes}, confidence=0.95)


def test_the_card_starts_with_the_metadata_that_the_hub_reads() -> None:
    _, head, body = model_card(CONFIG, None).split("---\n", 2)
    assert yaml.safe_load(head)["library_name"] == "transformers"
    assert body.lstrip().startswith("# naming model")


def test_the_card_says_what_the_model_was_made_of() -> None:
    card = model_card(CONFIG, None)
    assert "Start model: `org/start`" in card
    assert "2 rounds of forward -> reverse, 7 steps each" in card
    assert "molecules `my.smi`, limit `5`" in card


def test_the_card_shows_what_was_measured() -> None:
    card = model_card(CONFIG, make_summary())
    assert "| forward | round trip | 0.25 | 0.375 | +0.125 [+0.1, +0.15] | 80 |" in card
    assert "95% interval" in card


def test_without_a_measurement_the_card_says_so() -> None:
    assert "not measured before training" in model_card(CONFIG, None)


def test_the_card_says_how_models_are_arranged_and_what_the_guards_did() -> None:
    config = CONFIG.model_copy(
        update={"models": "separate", "regime": ("supervised", "synthetic"), "schedule": "joint"}
    )
    card = model_card(config, None, ["Stopped early: because."])
    assert "Regime: supervised + synthetic." in card
    assert "`forward/` and `reverse/` are models of their own" in card
    assert "rounds of forward + reverse" in card
    assert "Stopped early: because." in card
    assert "Regime" not in model_card(CONFIG, None)

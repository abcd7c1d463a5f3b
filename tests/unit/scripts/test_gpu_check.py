"""The GPU check: its arithmetic, its table, and the whole of it on a toy model."""

from __future__ import annotations

from pathlib import Path

import gpu_check
import pytest
from gpu_check import SHAPES, Measured

FOUND = Measured(
    "0.5B", "full", 1_000_000, {"rollout": 1.0, "reverse": 0.5, "chemistry": 0.5, "update": 2.0}, 100, 50, 200, 3.25
)


def test_the_work_of_each_part() -> None:
    assert FOUND.flops() == {"rollout": 2e8, "reverse": 1e8, "update": 1.2e9}
    lora = Measured("0.5B", "lora", 1_000_000, FOUND.seconds, 100, 50, 200, None)
    assert lora.flops()["update"] == 8e8
    assert FOUND.utilisation(1e9) == pytest.approx(1.5e9 / 4 / 1e9)
    assert FOUND.utilisation(None) is None


def test_a_row_of_the_table() -> None:
    cells = gpu_check._row(FOUND, "0.5B", "full", 1e9).strip("| ").split(" | ")
    assert cells == ["0.5B", "full", "0.00B", "4.00", "25%", "12%", "12%", "50%", "100", "100", "3.2", "37.5%", "60.0%"]
    assert "out of memory" in gpu_check._row(None, "8B", "full", 1e9)
    heads = [line.count("|") for line in gpu_check._header()]
    assert {*heads, *(gpu_check._row(one, "0.5B", "full", None).count("|") for one in (FOUND, None))} == {heads[0]}


@pytest.mark.parametrize(("name", "billions"), [("0.5B", 0.494), ("1.5B", 1.544), ("8B", 8.03)])
def test_the_shapes_are_those_of_the_models_they_are_named_after(name: str, billions: float) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(SHAPES[name].kind(**SHAPES[name].fields))
    assert sum(p.numel() for p in model.parameters()) / 1e9 == pytest.approx(billions, rel=0.01)


@pytest.mark.parametrize(
    ("device", "teraflops"),
    [
        ("NVIDIA A100-SXM4-80GB", 312.0),
        ("NVIDIA H100 80GB HBM3", 989.0),
        ("NVIDIA H100 PCIe", 756.0),
        ("NVIDIA L4", 121.0),
        ("NVIDIA L40S", 362.0),
        ("NVIDIA L40", None),
        ("NVIDIA RTX A1000", None),
        ("NVIDIA A10G", None),
        ("NVIDIA GeForce RTX 4090", 165.0),
    ],
)
def test_the_peak_of_a_device_is_not_that_of_one_with_a_longer_name(device: str, teraflops: float | None) -> None:
    assert gpu_check._peak_of(device) == (None if teraflops is None else teraflops * 1e12)


def test_it_runs(tmp_path: Path, light_collections: None, capsys: pytest.CaptureFixture[str]) -> None:
    gpu_check.main(["--smoke", "--out", str(tmp_path / "table.md"), "--peak", "1"])
    table = (tmp_path / "table.md").read_text()
    assert capsys.readouterr().out.strip() == table.strip()
    lora, full = (line.strip("| ").split(" | ") for line in table.splitlines()[-2:])
    for row, way in ((lora, "lora"), (full, "full")):
        assert row[:2] == ["toy", way]
        shares = [float(cell.rstrip("%")) for cell in row[4:8]]
        assert sum(shares) == pytest.approx(100, abs=2)
        assert shares[0] > 0
        assert shares[3] > 0

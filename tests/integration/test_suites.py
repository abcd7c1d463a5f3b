"""`rtrl-chem evaluate SUITE` from the command line to the numbers, and again by a script that knows nothing of us."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from rdkit import Chem

from rtrl_chem.cli import main

SHORT = ["--set", "resamples=100", "--set", "referee=false"]


def recount(path: Path, structures: bool, same_side: bool) -> dict[str, float]:
    """Metrics of a predictions file with RDKit alone. `structures`: outputs are SMILES; `same_side`: sources are."""

    def key(smiles: str) -> str | None:
        mol = Chem.MolFromSmiles(smiles) if smiles and " " not in smiles else None
        return Chem.MolToSmiles(mol) if mol is not None and mol.GetNumHeavyAtoms() else None

    rows = [json.loads(line) for line in path.read_text().splitlines()]
    outputs = [row.get("outputs") or [row["output"]] for row in rows]
    backs = [row.get("reconstructions") or [row.get("reconstruction", "")] for row in rows]

    def right(a: str, b: str, as_structures: bool) -> bool:
        return key(a) is not None and key(a) == key(b) if as_structures else bool(b) and a == b

    hits = [[right(o, row["target"], structures) for o in group] for row, group in zip(rows, outputs, strict=True)]
    back = [[right(x, row["source"], same_side) for x in group] for row, group in zip(rows, backs, strict=True)]
    found = {f"top{k}": sum(any(h[:k]) for h in hits) for k in (1, 3, 5)} | {"exact_match": sum(h[0] for h in hits)}
    found |= {"exact_isomeric": found["top1"], "rtc": sum(b[0] for b in back), "coverage_top5": sum(map(any, back))}
    found["validity"] = sum(key(group[0]) is not None for group in outputs)
    found["log_p"] = sum(row.get("nats", 0) for row in rows)
    found["log_p_per_token"] = sum(row["nats"] / row["tokens"] for row in rows if "nats" in row)
    found["mrr"] = sum(1 / (h.index(True) + 1) for h in hits if True in h)
    return {name: count / len(rows) for name, count in found.items()}


@pytest.mark.parametrize(
    ("suite", "model", "sides"),
    [
        pytest.param(
            "naming",
            "bundled:tiny",
            {"name-of-molecule": (False, True), "molecule-of-name": (True, False)},
            id="naming",
        ),
        pytest.param(
            "reaction",
            "bundled:tiny-reaction",
            {"forward": (True, True), "retrosynthesis": (True, True)},
            id="reaction, beams",
        ),
    ],
)
def test_the_bundled_models_on_two_suites(
    tmp_path: Path, suite: str, model: str, sides: dict[str, tuple[bool, bool]]
) -> None:
    short = [f"--set=parts.{part}.decoding.max_new_tokens=48" for part in sides]
    assert main(["evaluate", suite, "--model", model, "--out", str(tmp_path), "--set", "size=10", *short, *SHORT]) == 0
    for part, (structures, same_side) in sides.items():
        record = json.loads((tmp_path / part / "metrics.json").read_text())
        counted = recount(tmp_path / part / "predictions.jsonl", structures, same_side)
        shared = set(counted) & set(record["metrics"])
        assert shared >= {"rtc", "exact_match", "log_p", "log_p_per_token"} or shared >= {
            "top1",
            "top5",
            "mrr",
            "validity",
        }
        for name in shared:
            value = record["metrics"][name]
            assert value["value"] == pytest.approx(counted[name]), (part, name)
            assert value["low"] <= value["value"] <= value["high"]
            assert value["n"] == 10
    assert sum(path.name.startswith("answers") for path in tmp_path.iterdir()) == 0, "the journal is gone"


def write_suite(folder: Path) -> str:
    rows = [f"{'C' * n}{end}\tname {n}{end}" for n in range(1, 11) for end in ("", "O", "N", "=O")]
    (folder / "rows.tsv").write_text("smiles\tname\n" + "\n".join(rows) + "\n")
    part = {"task": "naming", "direction": "forward", "data": "rows", "source": "{smiles}", "target": "{name}"}
    part |= {"round_trip": True, "metrics": ["rtc", "exact_match"]}
    part |= {"decoding": {"method": "sampling", "outputs": 2, "max_new_tokens": 40}}
    data = {"rows": {"file": str(folder / "rows.tsv"), "licence": "none", "split": "all"}}
    suite = {"name": "mine", "description": "Forty names.", "data": data, "parts": {"names": part}}
    suite |= {"max_batch_tokens": 1, "referee": False, "resamples": 50}
    (folder / "mine.yaml").write_text(yaml.safe_dump(suite))
    return str(folder / "mine.yaml")


def test_killed_half_way_and_started_again_it_ends_with_the_same_files(tmp_path: Path, model_folder: Path) -> None:
    call = ["evaluate", write_suite(tmp_path), "--model", str(model_folder), "--set", "model.prompt_style=compact"]
    killed, journal = tmp_path / "killed", tmp_path / "killed" / "answers-0.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "rtrl_chem", *call, "--out", str(killed)], env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if journal.is_file() and journal.read_bytes().count(b"\n") >= 8:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.002)
    assert process.wait(60) == -signal.SIGKILL
    assert not (killed / "names" / "predictions.jsonl").exists()
    known = journal.read_bytes()
    assert main([*call, "--out", str(killed)]) == 0
    assert main([*call, "--out", str(tmp_path / "whole")]) == 0
    for name in ("predictions.jsonl", "metrics.json"):
        assert (killed / "names" / name).read_bytes() == (tmp_path / "whole" / "names" / name).read_bytes()
    written = (killed / "names" / "predictions.jsonl").read_text()
    answers = [json.loads(line)["answers"] for line in known.splitlines(keepends=True)[1:] if line.endswith(b"\n")]
    assert len(answers) >= 7
    for [group] in answers:
        assert json.dumps([text for text, *_ in group]) in written, "what was known was kept"


def test_a_guard_is_measured_before_and_after_a_run(
    write_config: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(rounds=1, steps_per_phase=1, directions=["forward"], evaluation={"guard": "guard"})
    assert main(["train", config]) == 0
    run = tmp_path / "run" / "evaluation"
    summary = json.loads((run / "summary.json").read_text())
    assert set(summary["guard"]) == {"texts", "questions"}
    for when in ("before", "after"):
        about = json.loads((run / when / "guard" / "questions" / "metrics.json").read_text())
        assert summary["guard"]["questions"]["metrics"]["accuracy"][when] == about["metrics"]["accuracy"]["value"]
    assert "guard: texts, 16 items" in capsys.readouterr().err


def test_a_guard_that_cannot_be_is_said_before_training(write_config: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", write_config(evaluation={"guard": "gaurd"})]) == 2
    assert "evaluation.guard: no suite 'gaurd': did you mean 'guard'?" in capsys.readouterr().err

"""How much better a model's own samples are than its greedy answers: what round-trip RL could distil without a label.

Samples N answers for each held-out source and chooses among them: by log p(x | y) of the same model (best of n by round
trip), by majority vote, or with the label at hand (pass@n, the ceiling).

    python scripts/yardsticks.py configs/quickstart.yaml --model bundled:tiny --samples 32 --out eval/yardsticks.json
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

from rtrl_chem.config import load_config
from rtrl_chem.evaluation.files import Prediction
from rtrl_chem.evaluation.held_out import held_out_items
from rtrl_chem.evaluation.measure import score_items
from rtrl_chem.evaluation.run import load_for_evaluation
from rtrl_chem.models.codec import Answer
from rtrl_chem.models.generate import generate
from rtrl_chem.models.processes import calm_libraries
from rtrl_chem.models.reverse import ReverseModel
from rtrl_chem.models.snapshot import take_snapshot
from rtrl_chem.tasks import Direction, Task, load_task


def choose(groups: list[list[Answer]], sources: list[str], reverse: ReverseModel, n: int) -> dict[str, list[str]]:
    """The chosen answer text per source, by rule, among the first n samples."""
    firsts = [[answer.text for answer in group[:n] if answer.text and not answer.truncated] for group in groups]
    flat = [(x, y) for x, ys in zip(sources, firsts, strict=True) for y in ys]
    scores = iter(reverse.log_likelihood([x for x, _ in flat], [y for _, y in flat]))
    best, vote = [], []
    for ys in firsts:
        scored = [(next(scores).nats, y) for y in ys]
        best.append(max(scored)[1] if scored else "")
        vote.append(Counter(ys).most_common(1)[0][0] if ys else "")
    return {f"best of {n} by round trip": best, f"majority of {n}": vote}


def pass_at(
    n: int, task: Task, direction: Direction, sources: list[str], samples: list[list[Answer]], targets: list[str]
) -> float:
    """Share of sources with a right answer among the first n samples, right as the task's exact match has it."""
    right = np.zeros(len(sources), bool)
    for k in range(n):
        rows = zip(sources, samples, targets, strict=True)
        predictions = [Prediction(x, group[k].text, "", target) for x, group, target in rows]
        right |= np.asarray(score_items(task, direction, predictions)["exact_match"].values, bool)
    return float(right.mean())


def main() -> None:
    """Print a table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    calm_libraries()
    config = load_config(args.config, args.set)
    task = load_task(config.task)
    held_out = held_out_items(config, task)
    if held_out is None:
        raise SystemExit("the config names no evaluation.pairs: yardsticks need labels")
    policy = load_for_evaluation(config, args.model, task)
    snapshot = take_snapshot(policy.model)
    measured = config.evaluation
    limits = {"max_new_tokens": config.evaluation_max_new_tokens, "max_batch_tokens": measured.max_batch_tokens}
    table: dict[str, dict[str, dict[str, float]]] = {}
    for direction in Direction:
        items = held_out.along(direction)
        sources, targets = [item.source for item in items], [item.target or "" for item in items]
        greedy = generate(policy.model, policy.codec, direction, sources, **limits)
        samples = generate(
            policy.model, policy.codec, direction, sources, num_samples=args.samples, temperature=1.0, seed=1, **limits
        )
        reverse = ReverseModel(snapshot, policy.codec, direction)
        chosen = {"greedy": [group[0].text for group in greedy]}
        for n in (8, args.samples):
            chosen |= choose(samples, sources, reverse, n)
        back = [y for ys in chosen.values() for y in ys]
        distinct = [y for y in dict.fromkeys(back) if y]
        read = generate(policy.model, policy.codec, direction.opposite, distinct, **limits)
        x_hat = {y: group[0].text for y, group in zip(distinct, read, strict=True)} | {"": ""}
        rows: dict[str, dict[str, float]] = {}
        for rule, ys in chosen.items():
            predictions = [Prediction(x, y, x_hat[y], t) for x, y, t in zip(sources, ys, targets, strict=True)]
            scores = score_items(task, direction, predictions)
            rows[rule] = {name: float(np.mean(scores[name].values)) for name in ("exact_match", "rtc")}
        for n in (8, args.samples):
            rows[f"pass@{n}"] = {"exact_match": pass_at(n, task, direction, sources, samples, targets)}
        table[str(direction)] = rows
        print(f"{direction} ({len(sources)} items)")
        for rule, values in rows.items():
            print(f"  {rule:28s}" + "  ".join(f"{name} {value:.3f}" for name, value in values.items()), flush=True)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps({"model": args.model, "samples": args.samples, "table": table}, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""How fast a machine trains: bf16 GRPO steps of models of 0.5 to 8 billion random weights, split into their parts.

    scripts/gpu_check.sh                                   # all shapes, LoRA and full, on this machine's first GPU
    python scripts/gpu_check.py --shapes 0.5B --ways lora --out gpu.md
    python scripts/gpu_check.py --smoke                    # a toy shape on the CPU: does the script itself work?

Nothing is downloaded: models are built from a config of a known shape, prompts are bundled molecules under the bundled
tokenizer. Random weights write noise to the greatest length, so a rollout takes as long as it can. What is judged are
real names in the place of the noise, a different one for each sample: no gate stops them, and none is scored twice.

Model FLOP utilisation is 2 N D for tokens that are only read or written, 6 N D for those that are learned (4 N D under
LoRA, whose frozen weights need no gradient), over time x peak; N counts all weights, D the tokens with each prompt once
for all of its samples, as it is computed. Attention is left out (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).
"""

from __future__ import annotations

import argparse
import itertools
import platform
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen2Config, TrainerCallback

from rtrl_chem.config import Config, config_from_mapping
from rtrl_chem.data import read_pairs
from rtrl_chem.models.codec import Answer, Codec
from rtrl_chem.models.policy import Policy
from rtrl_chem.models.processes import calm_libraries, processes
from rtrl_chem.models.reverse import ReverseModel
from rtrl_chem.rewards.compose import RoundTripReward
from rtrl_chem.tasks import Direction, get_style, load_task
from rtrl_chem.training.arguments import grpo_arguments, sources_per_phase
from rtrl_chem.training.grpo import run_grpo
from rtrl_chem.training.phase import PhaseResult, plan

TOKENIZER = Path(__file__).parents[1] / "rtrl_chem" / "assets" / "tiny"
LORA = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear"}
# Dense bf16 TFLOP/s with float32 sums, from NVIDIA's data sheets (half of those "with sparsity"): A100 (2021), H100
# (2023), H200 (2024), B200 (HGX, 2024), L40S (2023), L4 (2023), A10 (2021); GeForce from the white papers on Ada
# (2022) and GA102 (2020). The first name that is in the device's, as words of it, counts.
PEAK_TFLOPS = {
    "B200": 2250.0,
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
    "A10": 125.0,
    "RTX 4090": 165.0,
    "RTX 3090": 71.0,
}


@dataclass(frozen=True)
class Shape:
    """A model's measures: `kind` is that of the config, `fields` are its own names."""

    kind: type
    fields: dict[str, Any]


def _shape(kind: type, width: int, layers: int, heads: int, groups: int, inner: int, words: int, tied: bool) -> Shape:
    fields = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
    fields |= {"num_key_value_heads": groups, "intermediate_size": inner, "vocab_size": words}
    return Shape(kind, fields | {"tie_word_embeddings": tied, "max_position_embeddings": 4096})


SHAPES = {
    "toy": _shape(LlamaConfig, 64, 2, 4, 2, 128, 1024, True),
    "0.5B": _shape(Qwen2Config, 896, 24, 14, 2, 4864, 151_936, True),  # Qwen2.5-0.5B
    "1.5B": _shape(Qwen2Config, 1536, 28, 12, 2, 8960, 151_936, True),  # Qwen2.5-1.5B
    "8B": _shape(LlamaConfig, 4096, 32, 32, 8, 14_336, 128_256, False),  # Llama-3.1-8B
}


@dataclass(frozen=True)
class Load:
    """What a step consists of: samples, those of each source, tokens of each, samples computed at a time."""

    samples: int
    generations: int
    tokens: int
    batch: int


@dataclass(frozen=True)
class Measured:
    """Means over the steps: seconds of each part; tokens written, scored and learned; N; peak memory in GB."""

    shape: str
    way: str
    parameters: int
    seconds: dict[str, float]
    written: float
    scored: float
    learned: float
    gigabytes: float | None

    def flops(self) -> dict[str, float]:
        """Model FLOPs of the parts that run the model."""
        factor = 4 if self.way == "lora" else 6
        each = {"rollout": 2 * self.written, "reverse": 2 * self.scored, "update": factor * self.learned}
        return {part: self.parameters * tokens for part, tokens in each.items()}

    def utilisation(self, peak: float | None) -> float | None:
        """Share of `peak` (FLOP/s) over the whole step."""
        return sum(self.flops().values()) / sum(self.seconds.values()) / peak if peak else None


class RealAnswers(RoundTripReward):
    """Judges real answers in the place of what a model of random weights wrote, and counts the tokens it scores."""

    answers: itertools.cycle[str]
    tokens = 0

    def __call__(self, *, completion_ids: list[list[int]], source: list[str], **trl: Any) -> list[float]:
        """TRL's interface."""
        told = [next(self.answers) for _ in source]
        back = self.direction.opposite
        rows = zip(self.codec.prompt_ids(back, told), self.codec.targets(back, source), strict=True)
        self.tokens += sum(len(prompt) + len(target.ids) for prompt, target in rows)
        judged = self.judge(
            source, [Answer(y, y, len(ids), False) for y, ids in zip(told, completion_ids, strict=True)]
        )
        return [one.reward for one in judged]


class Logs(TrainerCallback):
    """Keeps what a trainer logs."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Called by the trainer."""
        self.rows.append(logs or {})


def main(arguments: list[str] | None = None) -> None:
    """Measure every shape in every way, print the table and write it."""
    given = _arguments(arguments)
    calm_libraries()
    shapes, load, steps = given.shapes, Load(given.samples, given.generations, given.tokens, given.batch), given.steps
    if given.smoke:
        shapes, load, steps = ["toy"], Load(4, 2, 8, 4), 1
    what = f"{steps} steps of {load.samples} samples of {load.tokens} tokens, {load.generations} of each source"
    lines = [_machine(), "", f"{what}; {load.batch} at a time in the update.", "", *_header()]
    print("\n".join(lines), flush=True)
    for name, way in itertools.product(shapes, given.ways):
        lines.append(_row(_tried(name, way, load, steps), name, way, _peak(given.peak)))
        print(lines[-1], flush=True)
    if given.out:
        given.out.write_text("\n".join(lines) + "\n", encoding="utf8")


def _tried(name: str, way: str, load: Load, steps: int) -> Measured | None:
    """The measurement; None where memory does not suffice."""
    try:
        return measure(name, way, load, steps)
    except torch.cuda.OutOfMemoryError:
        return None
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def measure(name: str, way: str, load: Load, steps: int) -> Measured:
    """Train a model of a shape for one step, to warm up, and then for `steps` that count."""
    policy = build(SHAPES[name], way)
    run_steps(policy, load, 1)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    result, logs, reward = run_steps(policy, load, steps)
    rows = [row for row in logs if "completions/mean_length" in row]
    written = sum(row["completions/mean_length"] for row in rows) * load.samples / steps
    prompts = (rows[-1]["num_tokens"] / steps - written) / load.generations
    parts = result.parts
    seconds = {
        "rollout": parts["rollout"],
        "reverse": parts["reward likelihood"],
        "chemistry": parts["verdicts"] + parts["reward format"],
    }
    seconds = {part: total / steps for part, total in seconds.items()}
    seconds["update"] = result.seconds / steps - sum(seconds.values())
    return Measured(
        shape=name,
        way=way,
        parameters=sum(p.numel() for p in policy.model.parameters()),
        seconds=seconds,
        written=written + prompts,
        scored=reward.tokens / steps,
        learned=written + prompts,
        gigabytes=torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None,
    )


def build(shape: Shape, way: str) -> Policy:
    """A policy of random weights, on the GPU in bf16 where there is one."""
    device = processes().device
    config = shape.kind(**shape.fields, pad_token_id=0, eos_token_id=1, bos_token_id=None)
    with torch.device(device):
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    if way == "lora":
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **LORA))
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    tokenizer.padding_side = "left"
    return Policy(model, Codec(load_task("naming"), get_style("compact"), tokenizer, [1]))


def run_steps(policy: Policy, load: Load, steps: int) -> tuple[PhaseResult, list[dict[str, Any]], RealAnswers]:
    """A phase of so many steps, what it logged, and the reward that judged it."""
    config, way = _config(load, steps), Direction.FORWARD
    pairs = list(read_pairs("bundled:naming/test", policy.codec.task))
    judge = policy.judge(way)
    reverse = ReverseModel(judge.snapshot, judge.codec, way, config.evaluation.max_batch_tokens, load.tokens)
    reward = RealAnswers(policy.codec, way, reverse, config.rewards)
    reward.answers = itertools.cycle(name for _, name in pairs)
    logs = Logs()
    with tempfile.TemporaryDirectory() as folder:
        arguments = grpo_arguments(config, plan(config)[0], Path(folder))
        sources = list(itertools.islice(itertools.cycle(x for x, _ in pairs), sources_per_phase(arguments)))
        result, _ = run_grpo(policy, reward, arguments, sources, [logs])
    return result, logs.rows, reward


def _config(load: Load, steps: int) -> Config:
    trainer = {
        "learning_rate": 1e-6,
        "per_device_train_batch_size": load.batch,
        "gradient_accumulation_steps": load.samples // load.batch,
        "num_generations": load.generations,
        "max_completion_length": load.tokens,
    }
    return config_from_mapping(
        {
            "task": "naming",
            "model": {"path": "bundled:tiny"},
            "data": {"molecules": "bundled:naming/unlabelled"},
            "rewards": {"likelihood": 1.0, "format": 0.2},
            "steps_per_phase": steps,
            "trainer": trainer,
            "output_dir": "unused",
        }
    )


def _peak(given: float | None) -> float | None:
    """FLOP/s of the device."""
    if given is not None:
        return given * 1e12
    return _peak_of(torch.cuda.get_device_name()) if torch.cuda.is_available() else None


def _peak_of(device: str) -> float | None:
    """The same by the device's name: "NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB"."""
    found = (peak for name, peak in PEAK_TFLOPS.items() if re.search(rf"\b{re.escape(name)}\b", device))
    return next((peak * 1e12 for peak in found), None)


def _machine() -> str:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU ({platform.machine()})"
    return f"{device}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}"


def _header() -> list[str]:
    names = ["shape", "weights trained", "N", "s/step", "rollout", "reverse", "chemistry", "update"]
    names += ["tokens/s written", "tokens/s learned", "peak GB", "MFU step", "MFU update"]
    return ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]


def _row(found: Measured | None, shape: str, way: str, peak: float | None) -> str:
    if found is None:
        return f"| {shape} | {way} | out of memory |" + " |" * 10
    seconds, whole, update = found.seconds, found.utilisation(peak), None
    if peak:
        update = found.flops()["update"] / seconds["update"] / peak
    total = sum(seconds.values())
    cells = [shape, way, f"{found.parameters / 1e9:.2f}B", f"{total:.2f}"]
    cells += [f"{seconds[part] / total:.0%}" for part in ("rollout", "reverse", "chemistry", "update")]
    cells += [f"{found.written / seconds['rollout']:,.0f}", f"{found.learned / seconds['update']:,.0f}"]
    cells += ["-" if found.gigabytes is None else f"{found.gigabytes:.1f}"]
    cells += ["-" if share is None else f"{share:.1%}" for share in (whole, update)]
    return "| " + " | ".join(cells) + " |"


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    real = [name for name in SHAPES if name != "toy"]
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=real)
    parser.add_argument("--ways", nargs="+", choices=["lora", "full"], default=["lora", "full"])
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--samples", type=int, default=128, help="samples of a step")
    parser.add_argument("--generations", type=int, default=8, help="samples of each source")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of a sample")
    parser.add_argument("--batch", type=int, default=16, help="samples at a time in the update")
    parser.add_argument("--peak", type=float, help="TFLOP/s of the device in bf16, where it is not in the list")
    parser.add_argument("--out", type=Path, help="a file for the table")
    parser.add_argument("--smoke", action="store_true", help="a toy shape, one step")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

"""Train the bundled tiny chemical language model by supervised fine-tuning, both directions of a task at once.

A Llama of a few million parameters learns `<SMILES>x<IUPAC>y` and `<IUPAC>y<SMILES>x` from the labelled split alone.
It is stopped while it still errs: dropout, randomised SMILES as extra inputs, a learning rate that is only partly
annealed and no look at the unlabelled split leave something for round-trip RL to do. Every epoch is logged; the last
weights are kept.

    python scripts/train_tiny.py --task naming --data rtrl_chem/assets/naming --tokenizer rtrl_chem/assets/tiny \
        --out rtrl_chem/assets/tiny --epochs 40
"""

import argparse
import gzip
import json
import random
import time
from pathlib import Path

import torch
from rdkit import Chem
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

FIELDS = {
    "naming": (("smiles", "<SMILES>"), ("name", "<IUPAC>")),
    "reaction": (("reactants", "<REACTANTS>"), ("product", "<PRODUCT>")),
}


def read_rows(path: Path, task: str) -> list[tuple[str, str]]:
    """(left, right) of each line of a split."""
    (left, _), (right, _) = FIELDS[task]
    with gzip.open(path, "rt", encoding="utf8") as lines:
        table = [line.rstrip("\n").split("\t") for line in lines]
    i, j = table[0].index(left), table[0].index(right)
    return [(row[i], row[j]) for row in table[1:]]


def respell(smiles: str, rng: random.Random) -> str:
    """A random spelling of the same molecule (or molecules)."""
    mol = Chem.MolFromSmiles(smiles)
    order = list(range(mol.GetNumAtoms()))
    rng.shuffle(order)
    return Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)


def build_model(tokenizer, args: argparse.Namespace) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=args.width,
        intermediate_size=args.width * 8 // 3 // 64 * 64,
        num_hidden_layers=args.layers,
        num_attention_heads=args.width // 40,
        num_key_value_heads=args.width // 40,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        attention_dropout=0.0,
    )
    return LlamaForCausalLM(config)


def build_optimizers(model: LlamaForCausalLM, lr: float) -> list[torch.optim.Optimizer]:
    """Muon for the weight matrices of the layers, AdamW for embeddings and norms: some two thirds of AdamW's steps."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    rest = [p for name, p in model.named_parameters() if p.ndim != 2 or "layers" not in name]
    return [
        torch.optim.Muon(matrices, lr=lr, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def add_dropout(model: LlamaForCausalLM, p: float) -> list:
    """Dropout on each residual branch: Llama has none of its own. Returns the hooks, to be removed before saving."""
    hooks = []
    for layer in model.model.layers:
        for branch in (layer.self_attn.o_proj, layer.mlp.down_proj):
            hooks.append(
                branch.register_forward_hook(lambda m, _, out: torch.nn.functional.dropout(out, p, m.training))
            )
    return hooks


def examples(rows, task, rng: random.Random, respell_share: float) -> list[tuple[str, str]]:
    """(prompt, answer) of both directions for one epoch."""
    (_, tag_left), (_, tag_right) = FIELDS[task]
    out = []
    for left, right in rows:
        shown = respell(left, rng) if rng.random() < respell_share else left
        out.append((f"{tag_left}{shown}{tag_right}", right))
        shown = respell(right, rng) if task == "reaction" and rng.random() < respell_share else right
        out.append((f"{tag_right}{shown}{tag_left}", left))
    return out


def batches(pairs, tokenizer, size: int, rng: random.Random):
    """Yield (input_ids, weights), each (B, T), right-padded; examples of like length together, batches shuffled."""
    prompts = tokenizer([p for p, _ in pairs])["input_ids"]
    answers = tokenizer([a + tokenizer.eos_token for _, a in pairs])["input_ids"]
    order = sorted(range(len(pairs)), key=lambda i: (len(prompts[i]) + len(answers[i]), rng.random()))
    chunks = [order[i : i + size] for i in range(0, len(order), size)]
    rng.shuffle(chunks)
    for chunk in chunks:
        width = max(len(prompts[i]) + len(answers[i]) for i in chunk)
        ids = torch.full((len(chunk), width), tokenizer.pad_token_id)
        weights = torch.zeros(len(chunk), width)
        for row, i in enumerate(chunk):
            n, m = len(prompts[i]), len(answers[i])
            ids[row, : n + m] = torch.tensor(prompts[i] + answers[i])
            weights[row, 1:n] = SOURCE_WEIGHT
            weights[row, n : n + m] = 1.0
        yield ids, weights


# The prompt is learned too, at a low weight: it teaches the language of both domains and slows memorising.
SOURCE_WEIGHT = 0.2


def loss_of(model, ids: torch.Tensor, weights: torch.Tensor, smoothing: float) -> tuple[torch.Tensor, float]:
    """(weighted cross-entropy, nats per answer token)."""
    logits = model(input_ids=ids).logits[:, :-1].float().flatten(0, 1)
    target, weight = ids[:, 1:].flatten(), weights[:, 1:].flatten()
    each = torch.nn.functional.cross_entropy(logits, target, reduction="none", label_smoothing=smoothing)
    plain = each.detach()[weight == 1.0].mean().item()
    return (each * weight).sum() / weight.sum(), plain


@torch.no_grad()
def greedy_accuracy(model, tokenizer, rows, task: str, limit: int) -> tuple[float, float]:
    """Share of exactly right greedy answers, (left -> right, right -> left), over the first `limit` rows."""
    model.eval()
    pairs = examples(rows[:limit], task, random.Random(0), 0.0)
    scores = []
    for part in (pairs[0::2], pairs[1::2]):
        batch = tokenizer([p for p, _ in part], return_tensors="pt", padding=True)
        out = model.generate(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], max_new_tokens=64, do_sample=False
        )
        texts = tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        scores.append(sum(t == a for t, (_, a) in zip(texts, part, strict=True)) / len(part))
    model.train()
    return scores[0], scores[1]


def learning_rate(step: int, total: int, peak: float) -> float:
    """Warm-up over 3%, constant, then down to a fifth of the peak over the last 25%: stable, not fully annealed."""
    share = step / total
    if share < 0.03:
        return peak * share / 0.03
    return peak if share < 0.75 else peak * (1 - 0.8 * (share - 0.75) / 0.25)


def train(args: argparse.Namespace) -> None:
    """Run all epochs; write the weights (bf16), the log and the recipe."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    rng = random.Random(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    model = build_model(tokenizer, args).train()
    hooks = add_dropout(model, args.dropout)
    rows, held = (read_rows(args.data / f"{s}.tsv.gz", args.task) for s in ("labelled", "validation"))
    optimizers = build_optimizers(model, args.lr)
    args.out.mkdir(parents=True, exist_ok=True)
    total = args.epochs * -(-2 * len(rows) // args.batch_size)
    log, step, start = [], 0, time.time()
    for epoch in range(1, args.stop_after + 1):
        losses = []
        for ids, weights in batches(examples(rows, args.task, rng, args.respell), tokenizer, args.batch_size, rng):
            loss, plain = loss_of(model, ids, weights, args.smoothing)
            model.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, total, args.lr)
                optimizer.step()
            losses.append(plain)
            step += 1
        entry = {"epoch": epoch, "train_nats_per_token": round(sum(losses) / len(losses), 4)}
        if epoch % args.eval_every == 0 or epoch == args.stop_after:
            right = greedy_accuracy(model, tokenizer, held, args.task, 400)
            entry |= {"forward_exact": round(right[0], 4), "reverse_exact": round(right[1], 4)}
            save(model, tokenizer, args.out)
        entry["seconds"] = round(time.time() - start)
        log.append(entry)
        print(json.dumps(entry), flush=True)
        (args.out / "training_log.jsonl").write_text("".join(json.dumps(e) + "\n" for e in log))
    for hook in hooks:
        hook.remove()
    recipe = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}
    recipe["parameters"] = sum(p.numel() for p in model.parameters())
    (args.out / "recipe.json").write_text(json.dumps(recipe, indent=2) + "\n")


def save(model, tokenizer, out: Path) -> None:
    """Write bf16 safetensors, without touching the float32 weights in training."""
    state = {k: v.to(torch.bfloat16) for k, v in model.state_dict().items()}
    dtype, model.config.dtype = model.config.dtype, torch.bfloat16
    model.save_pretrained(out, state_dict=state)
    model.config.dtype = dtype
    tokenizer.save_pretrained(out)


def main() -> None:
    """Parse the recipe and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=sorted(FIELDS), required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--smoothing", type=float, default=0.0)
    parser.add_argument("--respell", type=float, default=0.5)
    parser.add_argument("--eval-every", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stop-after", type=int, help="stop before the schedule ends, after so many epochs")
    args = parser.parse_args()
    args.stop_after = args.stop_after or args.epochs
    train(args)


if __name__ == "__main__":
    main()

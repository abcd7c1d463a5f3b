from __future__ import annotations

import gc
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A first call may import half a library, and a busy machine is slow: what a test takes says nothing about the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

TINY = Path(__file__).parents[1] / "rtrl_chem" / "assets" / "tiny"
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SENTENCES = (
    "What is the IUPAC name of the molecule CC(=O)Oc1ccccc1C(=O)O ? 2-acetyloxybenzoic acid",
    "What is the SMILES of the molecule with the IUPAC name 3-methylbutan-1-ol ? CC(C)CCO",
    "Answer with the IUPAC name only. Describe the molecule CCN(CC)CC . It is a tertiary amine.",
)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of public data sets, `RTRL_CHEM_DATA` or `shared/data` beside the checkout; skips where there is none."""
    folder = Path(os.environ.get("RTRL_CHEM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no folder of public data sets (set RTRL_CHEM_DATA)")
    return folder


@pytest.fixture(scope="session")
def arrow_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of `datasets` for the tests alone."""
    import datasets

    datasets.disable_progress_bars()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("arrow"))
        yield


@pytest.fixture(scope="session")
def write_prepared(arrow_cache: None) -> Callable[..., str]:
    """`write_prepared(folder, train={"smiles": [...]}, validation={...}, shards=2)`: the path of a corpus as
    `rtrl-chem prepare` leaves it, with these columns as they are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(folder: Path, shards: int = 2, **splits: dict[str, list[Any]]) -> str:
        folder.mkdir(parents=True)
        described: dict[str, Any] = {}
        for split, columns in splits.items():
            rows = len(next(iter(columns.values())))
            table = pa.table({"id": range(rows), **columns, "source_file": ["x.smi"] * rows, "source_row": range(rows)})
            size = max(1, -(-rows // shards))
            listed = []
            for number in range(shards):
                file = folder / f"{split}-{number:05d}-of-{shards:05d}.parquet"
                part = table.slice(number * size, size)
                pq.write_table(part, file)
                sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
                listed.append({"file": file.name, "rows": part.num_rows, "sha256": sha256})
            described[split] = {"rows": rows, "shards": listed}
        kept = sum(split["rows"] for split in described.values())
        manifest = {"format": "rtrl-chem corpus", "version": 1, "rows_in": kept, "kept": kept, "dropped": {}}
        (folder / "manifest.json").write_text(json.dumps(manifest | {"splits": described}))
        return str(folder)

    return write


@pytest.fixture(scope="session")
def light_collections() -> None:
    """Trainers collect garbage a dozen times a run. A third of a second each goes into the libraries' own objects: set
    these aside."""
    import rtrl_chem.training.run  # noqa: F401

    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """The tokenizer of the bundled tiny model."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(TINY)


@pytest.fixture(scope="session")
def chat_tokenizer() -> Any:
    """A byte-level BPE tokenizer with a chat template that writes BOS; so does plain encoding, as in Llama."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "</s>", "<pad>", "<|user|>", "<|assistant|>", "<|end|>"]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    raw.train_from_iterator(SENTENCES, trainer)
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", raw.token_to_id("<s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="<pad>", padding_side="left"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _tiny_llama(tokenizer: Any) -> Any:
    """Two layers, 32 wide. The wide initial weights make tokens differ in probability as a trained model's do."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def _tiny_gpt2(tokenizer: Any) -> Any:
    """The same with learned absolute positions: whoever pads on the left must say where a row starts."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=512,
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return GPT2LMHeadModel(config)


_ARCHITECTURES: dict[str, Callable[[Any], Any]] = {"llama": _tiny_llama, "gpt2": _tiny_gpt2}


@pytest.fixture
def make_policy(tiny_tokenizer: Any, chat_tokenizer: Any) -> Callable[..., Any]:
    """Tiny random policies: `make_policy("compact", task="naming", architecture="llama", lora=None, seed=0)`.

    Compact is the bundled tokenizer's style; every other one gets the byte-level tokenizer, which knows any text.
    """

    def make(
        style: str = "compact",
        *,
        task: str = "naming",
        architecture: str = "llama",
        lora: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> Any:
        import torch
        from transformers import set_seed

        from rtrl_chem.models.codec import Codec
        from rtrl_chem.models.policy import Policy
        from rtrl_chem.tasks import TASKS, get_style

        torch.set_num_threads(1)
        set_seed(seed)
        tokenizer = tiny_tokenizer if style == "compact" else chat_tokenizer
        model = _ARCHITECTURES[architecture](tokenizer)
        if lora is not None:
            from peft import LoraConfig, get_peft_model

            model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **lora))
        return Policy(model, Codec(TASKS[task], get_style(style), tokenizer))

    return make


_TAUGHT = {
    "C": "methane",
    "CC": "ethane",
    "CCC": "propane",
    "CCO": "ethanol",
    "CCCO": "propan-1-ol",
    "CCN": "ethanamine",
    "CC(=O)O": "acetic acid",
    "c1ccccc1": "benzene",
}


def _teach(policy: Any, steps: int) -> None:
    """Eight names in both directions: enough for a model to end its answers, and to be wrong about anything else."""
    import torch

    from rtrl_chem.tasks import Direction
    from rtrl_chem.training.sft import Example, encode

    examples = [Example(Direction.FORWARD, x, y) for x, y in _TAUGHT.items()]
    examples += [Example(Direction.REVERSE, y, x) for x, y in _TAUGHT.items()]
    rows = encode(policy.codec, examples)
    width = max(map(len, rows["input_ids"]))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows["input_ids"]])
    labels = torch.tensor([row + [-100] * (width - len(row)) for row in rows["labels"]])
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=0.01)
    for _ in range(steps):
        policy.model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.fixture(scope="session")
def taught_policy(tiny_tokenizer: Any) -> Any:
    """A tiny Llama, taught for a second, with the bundled tokenizer; its prompt style is `compact`. Shared: do not
    change it."""
    import torch
    from transformers import set_seed

    from rtrl_chem.models.codec import Codec
    from rtrl_chem.models.policy import Policy
    from rtrl_chem.tasks import NAMING, get_style

    torch.set_num_threads(1)
    set_seed(0)
    policy = Policy(_tiny_llama(tiny_tokenizer), Codec(NAMING, get_style("compact"), tiny_tokenizer))
    _teach(policy, steps=30)
    policy.model.eval()
    return policy


@pytest.fixture(scope="session")
def model_folder(taught_policy: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The taught policy in a folder."""
    from rtrl_chem.models.policy import save_policy

    folder = tmp_path_factory.mktemp("model")
    save_policy(taught_policy, folder)
    return folder

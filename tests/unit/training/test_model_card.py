"""The card of a trained model; it was looked at in a browser as well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from rtrl_chem.config import Config, config_from_mapping
from rtrl_chem.data import read_corpus, read_pairs
from rtrl_chem.evaluation.summary import Change, Changes, Summary
from rtrl_chem.reporting.hack_report import HackReport
from rtrl_chem.tasks import NAMING, Direction
from rtrl_chem.training.model_card import Facts, ReadFile, model_card
from rtrl_chem.training.run_folder import State

HOSTILE = [
    "<script>alert(1)</script>",
    "[red]x[/red](javascript:alert(1))",
    "a | b",
    "`` ` code",
    "line\n\n# heading",
    "\x1b[31m\x00\u202e\ud800",
    "---",
]


def make_config(**changes: Any) -> Config:
    raw = {
        "task": "naming",
        "model": {"path": "org/start"},
        "data": {"molecules": "my.smi", "limit": 5},
        "rounds": 2,
        "steps_per_phase": 7,
        "output_dir": "run",
    }
    return config_from_mapping(raw | changes)


def make_facts(config: Config | None = None, **known: Any) -> Facts:
    return Facts(config or make_config(), NAMING, known.pop("state", State()), **known)


def metadata(config: Config) -> dict[str, Any]:
    start, head, body = model_card(make_facts(config)).split("---\n", 2)
    assert start == ""
    assert body.lstrip().startswith("# naming: a model trained by rtrl-chem")
    return dict(yaml.safe_load(head))


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        pytest.param(
            {},
            {"base_model": "org/start", "library_name": "transformers", "license": None, "datasets": None},
            id="full",
        ),
        pytest.param(
            {"model": {"path": "org/start", "lora": {"r": 4}}},
            {"base_model": "org/start", "library_name": "peft", "base_model_relation": "adapter"},
            id="adapter",
        ),
        pytest.param(
            {"model": {"path": "org/start", "lora": {"r": 4}}, "save_merged": True},
            {"library_name": "transformers", "base_model_relation": None},
            id="merged",
        ),
        pytest.param({"model": {"path": "bundled:tiny"}}, {"license": "apache-2.0", "base_model": None}, id="bundled"),
        pytest.param(
            {"models": "separate", "reverse_model": {"path": "org/back"}},
            {"base_model": ["org/start", "org/back"]},
            id="two models",
        ),
        pytest.param(
            {"data": {"pairs": "org/pairs", "molecules": "my.smi"}}, {"datasets": ["org/pairs"]}, id="hub data"
        ),
    ],
)
def test_the_card_starts_with_the_metadata_that_the_hub_reads(changes: dict[str, Any], known: dict[str, Any]) -> None:
    found = metadata(make_config(**changes))
    assert {key: found.get(key) for key in known} == known
    assert {"chemistry", "rtrl-chem"} <= set(found["tags"])


def test_a_local_start_model_tells_its_own_licence(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# start\n")
    found = metadata(make_config(model={"path": str(tmp_path)}))
    assert (found["license"], found.get("base_model")) == ("mit", None)
    (tmp_path / "README.md").write_text("---\nlicense: [mit\n---\n")
    assert "license" not in metadata(make_config(model={"path": str(tmp_path)}))


def test_the_card_says_what_the_model_does() -> None:
    assert (
        "Trained to write the IUPAC name from the SMILES of the molecule (forward) and the SMILES of the molecule from "
        "the IUPAC name (reverse), by round trips"
    ) in model_card(make_facts())


def test_the_card_says_what_the_model_was_made_of() -> None:
    config = make_config(rewards={"likelihood": 1.0, "format": 0.25}, trainer={"learning_rate": 1e-4}, seed=7)
    phases = [{"steps": 7, "samples": 56}] * 4
    card = model_card(make_facts(config, state=State(phases=phases)))
    assert "| start model | `org/start` |" in card
    assert "| planned | 2 rounds of forward -> reverse, 7 steps each |" in card
    assert "| done | 4 phases, 28 optimizer steps, 224 samples |" in card
    assert "| rewards | likelihood 1, format 0.25 |" in card
    assert '| trainer | `{"learning_rate": 0.0001}` |' in card
    assert "| seed | 7 |" in card
    assert "    steps_per_phase: 7\n" in card
    assert "at most 5 items of each" in card


def test_the_card_lists_the_files_with_what_was_kept_of_them(tmp_path: Path) -> None:
    molecules, pairs = tmp_path / "my.smi", tmp_path / "p.tsv"
    molecules.write_text("CCO\nOCC\nnonsense\nCC\n")
    pairs.write_text("smiles\tname\nCCO\tethanol\n")
    read = [ReadFile.of(read_corpus(str(molecules), NAMING.left)), ReadFile.of(read_pairs(str(pairs), NAMING))]
    assert (read[0].rows, read[0].kept, read[0].duplicates, read[0].rejected) == (4, 2, 1, 1)
    card = model_card(make_facts(read=read, held_out=["held out: 3 of 10 items of x.smi"]))
    assert f"| `{molecules}` | 4 | 2 | 1 | 1 | {read[0].fingerprint} |" in card
    assert f"| `{pairs}` | 1 | 1 | 0 | 0 | {read[1].fingerprint} |" in card
    assert read[0].fingerprint == read_corpus(str(molecules), NAMING.left).fingerprint()[:16]
    assert "- held out: 3 of 10 items of x.smi" in card


def make_summary(label: str = "round trip") -> Summary:
    change = Change(label, "share", 0.25, 0.375, 0.125, 0.1, 0.15, 80)
    forward = Changes("molecule -> name", 80, {"rtc": change}, {}, {"referee": "no Java"})
    texts = {"nats_per_byte": Change("nats per byte", "nats", 2.0, 2.5, 0.5, 0.4, 0.6, 16)}
    return Summary("naming", 0.95, 100, 0, {Direction.FORWARD: forward}, {"texts": Changes("", 16, texts)})


def test_the_card_shows_what_was_measured() -> None:
    card = model_card(make_facts(summary=make_summary()))
    assert "| forward | round trip | 25.0% | 37.5% | +12.5 [+10.0, +15.0] | 80 |" in card
    assert "| guard: texts | nats per byte | 2.000 | 2.500 | +0.500 [+0.400, +0.600] | 16 |" in card
    assert "difference [95% interval]" in card
    assert "- not measured, forward: referee (no Java)" in card
    assert "not measured before training" in model_card(make_facts())


def test_the_card_shows_the_verdicts_and_what_looked_wrong() -> None:
    rates = {"OK": 0.75, "INVALID": 0.25}
    phases = [{"phase": "00-forward", "samples": 8, "verdicts": rates, "tenths": [{"OK": 1.0}, rates]}]
    hacks = HackReport(phases, [], {"near copy of the source": 3}, 50, "")
    card = model_card(make_facts(hacks=hacks))
    assert "| 00-forward | 8 | 100.0% -> 75.0% | 0.0% -> 25.0% |" in card
    assert "3 marks were given to the 50 most rewarded outputs" in card
    assert "- near copy of the source: 3" in card


def test_the_card_says_how_models_are_arranged_and_what_the_guards_did() -> None:
    config = make_config(
        models="separate",
        regime=["supervised", "synthetic"],
        data={"pairs": "p.tsv", "molecules": "my.smi"},
        directions=["reverse", "forward"],
    )
    card = model_card(make_facts(config, notes=["Stopped early: because."]))
    assert "| regime | supervised + synthetic |" in card
    assert "`forward/` and `reverse/` are models of their own" in card
    assert "rounds of reverse -> forward" in card
    assert "Stopped early: because." in card


@pytest.mark.parametrize(
    ("stage", "said"),
    [("start", "the start model: no round was better by forward/rtc"), ("round-01", "the best stage, round-01, by")],
)
def test_the_card_says_which_stage_is_the_final_model(stage: str, said: str) -> None:
    trainer = {"metric_for_best_model": "forward/rtc", "load_best_model_at_end": True}
    best = {"stage": stage, "checkpoint": "x", "metric": "forward/rtc", "value": 0.25}
    assert said in model_card(make_facts(make_config(guards={}, trainer=trainer), state=State(best=best)))


def test_the_card_says_how_to_repeat_it() -> None:
    environment = {"command": ["rtrl-chem", "train", "my config.yaml"], "packages": {"torch": "2.13", "peft": None}}
    card = model_card(make_facts(environment=environment))
    assert "`rtrl-chem train 'my config.yaml'`" in card
    assert "With torch 2.13." in card


def test_the_card_does_not_say_whose_home_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/jane.doe")
    config = make_config(
        model={"path": "/home/jane.doe/start"},
        data={"molecules": "/home/jane.doe/my.smi", "outputs": "/home/jane.doe2/x.txt"},
        output_dir="~/runs/x",
        trainer={"run_name": "/home/jane.doe"},
    )
    card = model_card(
        make_facts(
            config,
            read=[ReadFile("/home/jane.doe/my.smi", 1, 1, 0, 0, "")],
            held_out=["held out: 3 of 10 items of /home/jane.doe/my.smi"],
            environment={"command": ["rtrl-chem", "train", "/home/jane.doe/a b.yaml", "--set=x=/home/jane.doe/y"]},
        )
    )
    assert "jane.doe" not in card.replace("/home/jane.doe2/x.txt", "")
    assert "| `~/my.smi` | 1 |" in card and "    output_dir: ~/runs/x\n" in card and "/home/jane.doe2/x.txt" in card


def test_what_is_bundled_comes_with_its_licence() -> None:
    data = {"molecules": "bundled:naming/unlabelled"}
    config = make_config(model={"path": "bundled:tiny"}, data=data, evaluation={"guard": "guard", "pairs": "x.tsv"})
    card = model_card(make_facts(config))
    assert "- start model `bundled:tiny`: `apache-2.0`" in card
    assert "- data `bundled:naming`: molecules of the PyPI package chemicals (MIT)" in card
    assert "- data `bundled:guard`: texts and questions written for rtrl-chem (Apache-2.0)" in card
    assert "- data `x.tsv`: not known here" in card


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_model_or_a_file_says_is_read_as_markdown(text: str) -> None:
    config = make_config(model={"path": "x" + text}, data={"molecules": "x" + text}, trainer={"run_name": text})
    facts = make_facts(
        config,
        read=[ReadFile(text, 1, 1, 0, 0, "")],
        held_out=[text],
        prompts={Direction.FORWARD: text},
        summary=make_summary(text),
        hacks=HackReport([{"phase": text, "samples": 1, "verdicts": {}, "tenths": [{}]}], [], {text: 1}, 1, text),
        notes=[text],
        environment={"command": ["rtrl-chem", text]},
    )
    harmless = replace(facts, read=[ReadFile("x", 1, 1, 0, 0, "")])
    assert len(model_card(harmless).splitlines()) == len(model_card(facts).splitlines())  # no line is broken
    model_card(facts).encode("utf8")
    tokens = _tokens(model_card(facts).split("---\n", 2)[2])
    assert {kind for kind in tokens if "html" in kind or "link" in kind or "image" in kind} == set()
    assert tokens.count("heading_open") == 8
    assert tokens.count("tr_open") == tokens.count("tr_close")


def _tokens(text: str) -> list[str]:
    """The kinds of all elements that a reader of Markdown finds, as the Hub's would."""
    markdown_it = pytest.importorskip("markdown_it")  # comes with rich
    found = markdown_it.MarkdownIt("commonmark").enable("table").parse(text)
    return [kind for token in found for kind in (token.type, *(child.type for child in token.children or ()))]

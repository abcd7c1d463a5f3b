"""Prompt styles: the exact prompts, what a model writes after them, and how that is read."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.errors import ConfigError, ModelError
from rtrl_chem.tasks import STYLES, TASKS, Direction, PromptStyle, Task, get_style
from rtrl_chem.tasks.prompts import strip_reasoning

NAMING, REACTION, CAPTIONING = (TASKS[name] for name in ("naming", "reaction", "captioning"))
IUPAC, SMILES = "What is the IUPAC name of the molecule", "What is the SMILES of the molecule with the IUPAC name"


class FakeTokenizer:
    """Chat markup in ChatML's form; fails on any other call than the one a prompt needs."""

    chat_template = "chatml"

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool = True, add_generation_prompt: bool = False
    ) -> str:
        assert not tokenize
        turns = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in conversation)
        return turns + "<|im_start|>assistant\n" * add_generation_prompt


def in_chatml(text: str) -> str:
    return f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"


PROMPTS = [
    ("chat", NAMING, "forward", "CCO", in_chatml(f"{IUPAC} CCO ?\nAnswer with the IUPAC name only.")),
    (
        "chat",
        NAMING,
        "reverse",
        "ethanol",
        in_chatml(f"{SMILES} ethanol ?\nAnswer with the SMILES of the molecule only."),
    ),
    (
        "answer",
        NAMING,
        "forward",
        "CCO",
        in_chatml(f"{IUPAC} CCO ?\nWrite the IUPAC name, and nothing else, between <answer> and </answer>."),
    ),
    ("plain", NAMING, "forward", "CCO", f"{IUPAC} CCO ?\nAnswer:"),
    ("plain", CAPTIONING, "forward", "CCO", "Describe the molecule CCO .\nAnswer:"),
    ("chemdfm", NAMING, "forward", "CCO", f"[Round 0]\nHuman: {IUPAC} CCO ?\nAssistant:"),
    ("tagged", NAMING, "forward", "CCO", f"[INST] {IUPAC} <SMILES> CCO </SMILES> ? [/INST]"),
    ("tagged", NAMING, "reverse", "ethanol", f"[INST] {SMILES} <IUPAC> ethanol </IUPAC> ? [/INST]"),
    (
        "tagged",
        REACTION,
        "forward",
        "CC(=O)O.CO",
        "[INST] What is the product of a reaction of <SMILES> CC(=O)O.CO </SMILES> ? [/INST]",
    ),
    (
        "tagged",
        CAPTIONING,
        "reverse",
        "An alcohol.",
        "[INST] Give the SMILES of the molecule that fits this description: An alcohol. [/INST]",
    ),
    ("compact", NAMING, "forward", "CCO", "<SMILES>CCO<IUPAC>"),
    ("compact", NAMING, "reverse", "ethanol", "<IUPAC>ethanol<SMILES>"),
    ("compact", REACTION, "reverse", "COC(C)=O", "<PRODUCT>COC(C)=O<REACTANTS>"),
    ("compact", CAPTIONING, "forward", "CCO", "<SMILES>CCO<DESCRIPTION>"),
]


@pytest.mark.parametrize(
    ("style", "task", "direction", "source", "prompt"),
    [pytest.param(*case, id=f"{case[0]}-{case[1].name}-{case[2]}") for case in PROMPTS],
)
def test_the_exact_prompt(style: str, task: Task, direction: str, source: str, prompt: str) -> None:
    assert get_style(style).render(task, direction, source, tokenizer=FakeTokenizer()) == prompt


@pytest.mark.parametrize(
    ("style", "task", "direction", "written"),
    [
        pytest.param("chat", NAMING, "forward", ("", "ethanol", ""), id="chat"),
        pytest.param("answer", NAMING, "forward", ("<answer>", "ethanol", "</answer>"), id="answer"),
        pytest.param("plain", NAMING, "forward", (" ", "ethanol", ""), id="plain"),
        pytest.param("chemdfm", NAMING, "forward", (" ", "ethanol", ""), id="chemdfm"),
        pytest.param("tagged", NAMING, "forward", (" <IUPAC> ", "ethanol", " </IUPAC>"), id="tagged-name"),
        pytest.param("tagged", REACTION, "forward", (" <SMILES> ", "ethanol", " </SMILES>"), id="tagged-product"),
        pytest.param("tagged", CAPTIONING, "forward", (" ", "ethanol", ""), id="tagged-prose-carries-no-tags"),
        pytest.param("compact", NAMING, "forward", ("", "ethanol", ""), id="compact"),
    ],
)
def test_what_a_well_trained_model_writes(
    style: str, task: Task, direction: str, written: tuple[str, str, str]
) -> None:
    assert get_style(style).wrap_answer(task, direction, " ethanol\n") == written


ANSWERS = st.text().filter(lambda text: "<" not in text)


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@given(answer=ANSWERS)
def test_reading_undoes_writing(style: PromptStyle, task: Task, direction: Direction, answer: str) -> None:
    if not task.output(direction).prose:
        answer = answer.replace("\n", " ")
    written = "".join(style.wrap_answer(task, direction, answer))
    assert style.read_answer(task, direction, written) == answer.strip()
    assert style.read_answer(task, direction, f"<think>{answer}\n</think>\n{written}") == answer.strip()


@given(smiles=st.text("CNOcn()[]=#@+-/\\.123%", min_size=1), prose=st.text())
def test_prose_around_tags_is_dropped(smiles: str, prose: str) -> None:
    prose = prose.replace("<", "")
    completion = f"{prose}<SMILES> {smiles} </SMILES>{prose}"
    assert STYLES["tagged"].read_answer(NAMING, "reverse", completion) == smiles


@pytest.mark.parametrize(
    ("style", "task", "completion", "answer"),
    [
        pytest.param(
            "tagged", NAMING, " It is <IUPAC> ethanol </IUPAC> . Good luck", "ethanol", id="prose around tags"
        ),
        pytest.param("tagged", NAMING, "<IUPAC>ethanol</IUPAC>", "ethanol", id="tags without spaces"),
        pytest.param("tagged", NAMING, "<IUPAC> a </IUPAC> <IUPAC> b </IUPAC>", "a", id="the first of two answers"),
        pytest.param("tagged", NAMING, "<IUPAC> ethan", "", id="tag not closed"),
        pytest.param("tagged", NAMING, "ethanol </IUPAC>", "", id="tag not opened"),
        pytest.param("tagged", NAMING, "</IUPAC> ethanol <IUPAC>", "", id="tags the wrong way round"),
        pytest.param("tagged", NAMING, "<SMILES> CCO </SMILES>", "", id="another domain's tag"),
        pytest.param("tagged", NAMING, "ethanol", "", id="no tags"),
        pytest.param(
            "tagged", CAPTIONING, " An alcohol.\nIt burns.", "An alcohol.\nIt burns.", id="prose is not tagged"
        ),
        pytest.param(
            "answer", NAMING, "So:\n<answer>\nethanol\n</answer>\nDone.", "ethanol", id="answer on its own line"
        ),
        pytest.param(
            "answer", CAPTIONING, "<answer>One.\nTwo.</answer> Three.", "One.\nTwo.", id="prose in answer tags"
        ),
        pytest.param(
            "answer", NAMING, "<think><answer>a</answer></think><answer>b</answer>", "b", id="draft in reasoning"
        ),
        pytest.param("plain", NAMING, "\n\n ethanol\nAnother question", "ethanol", id="first line of a name"),
        pytest.param("plain", NAMING, " ethanol\r\nAnother", "ethanol", id="Windows line"),
        pytest.param("chat", NAMING, "<think>\nhm\n</think>\n\nethanol", "ethanol", id="reasoning"),
        pytest.param("chat", NAMING, "hm\n</think>\n\nethanol", "ethanol", id="reasoning opened by the prompt"),
        pytest.param("chat", NAMING, "<think>\nhm, ethanol", "", id="reasoning not closed"),
        pytest.param("chat", NAMING, "<think>a</think>ethanol<think>b", "", id="second reasoning not closed"),
        pytest.param("chat", NAMING, "", "", id="nothing"),
        pytest.param("compact", NAMING, "ethanol", "ethanol", id="compact"),
    ],
)
def test_reading(style: str, task: Task, completion: str, answer: str) -> None:
    assert get_style(style).read_answer(task, "forward", completion) == answer


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        pytest.param("a", "a", id="none"),
        pytest.param("<think>a</think>b", "b", id="one"),
        pytest.param("<think>a</think>b<think>c</think>d", "bd", id="two"),
        pytest.param("<think>a<think>b</think>c</think>d", "d", id="nested"),
        pytest.param("<THINK>a</Think>b", "b", id="any case"),
        pytest.param("<think>", "", id="only opened"),
        pytest.param("</think>", "", id="only closed"),
    ],
)
def test_strip_reasoning(completion: str, text: str) -> None:
    assert strip_reasoning(completion) == text


def test_special_tokens_are_left_to_the_chat_template_and_to_compact_prompts() -> None:
    adds = {name: style.adds_special_tokens for name, style in STYLES.items()}
    assert adds == {"chat": False, "answer": False, "plain": True, "chemdfm": True, "tagged": True, "compact": False}


def test_a_tokenizer_without_chat_template_is_the_models_fault() -> None:
    tokenizer = FakeTokenizer()
    tokenizer.chat_template = None  # type: ignore[assignment]
    with pytest.raises(ModelError, match=r"'chat' needs a chat template.*set model.prompt_style to plain"):
        get_style("chat").render(NAMING, "forward", "CCO", tokenizer)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        pytest.param("{{ raise_exception('No\\x1b[31m roles.\\nNone.') }}", "No.*roles. None.", id="raises"),
        pytest.param("{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError", id="looks for Python's insides"),
        pytest.param("{% for", "TemplateSyntaxError", id="no template"),
        pytest.param("{{ messages[3].content.x }}", "UndefinedError", id="asks for what is not there"),
        pytest.param("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError", id="calls itself"),
        pytest.param("{% for i in range(9) %}" * 20 + "{% endfor %}" * 20, "more than 0.5 seconds", id="has no end"),
    ],
)
def test_a_chat_template_that_cannot_be_used_is_one_line(
    template: str, said: str, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    tokenizer.chat_template = template
    monkeypatch.setattr("rtrl_chem.tasks.prompts.TEMPLATE_SECONDS", 0.5)
    with pytest.raises(ModelError, match=f"chat template .* cannot be used .*{said}.*; set model.prompt_style") as error:
        get_style("chat").render(NAMING, "forward", "CCO", tokenizer)
    assert "\n" not in str(error.value)


def test_a_chat_style_without_tokenizer_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="pass the tokenizer"):
        get_style("answer").render(NAMING, "forward", "CCO")


def test_a_style_of_ones_own() -> None:
    style = get_style({"template": "Q: {instruction}\nA:", "answer": " <a>{answer}</a>"})
    assert style.render(NAMING, "forward", "CCO") == f"Q: {IUPAC} CCO ?\nA:"
    assert style.wrap_answer(NAMING, "forward", "ethanol") == (" <a>", "ethanol", "</a>")
    assert style.read_answer(NAMING, "forward", " <a>ethanol</a> yes") == "ethanol"
    assert style.adds_special_tokens


def test_a_chat_style_of_ones_own_adds_no_special_tokens_unless_told() -> None:
    chat: dict[str, Any] = {"template": "{instruction}", "chat": True, "tagged": True}
    assert not get_style(chat).adds_special_tokens
    assert get_style(chat | {"adds_special_tokens": True}).adds_special_tokens
    shown = get_style(chat).render(NAMING, "forward", "CCO", FakeTokenizer())
    assert shown == in_chatml(f"{IUPAC} <SMILES> CCO </SMILES> ?")


@pytest.mark.parametrize(
    ("style", "problem"),
    [
        pytest.param("chta", "prompt style 'chta' is unknown; did you mean 'chat'?", id="unknown name"),
        pytest.param({}, "template: missing, it has no default", id="no template"),
        pytest.param(
            {"template": "Hello"}, "template: must contain {instruction} or {source}, got 'Hello'", id="no source"
        ),
        pytest.param(
            {"template": "{instrucion} {source}"},
            "template: unknown placeholder {instrucion}; did you mean 'instruction'?",
            id="unknown placeholder",
        ),
        pytest.param({"template": "{source}", "answer": "x"}, "answer: must contain {answer}, got 'x'", id="no answer"),
        pytest.param(
            {"template": "{source}", "answer": "{answer}."},
            "answer: after {answer} there may only be a tag such as </answer>, got '.'",
            id="ends in what an answer may hold",
        ),
        pytest.param(
            {"template": "{source}", "chatt": 1}, "chatt: unknown key; did you mean 'chat'?", id="misspelt key"
        ),
    ],
)
def test_a_wrong_style_is_refused(style: str | dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        get_style(style)
    assert caught.value.problems == [problem]


def test_all_problems_of_a_style_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        get_style({"template": "", "answer": "", "tagged": "often"})
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["template", "answer", "tagged"]

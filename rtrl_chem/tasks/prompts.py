r"""Prompt styles: how a request and an answer are laid out for a kind of model.

A style renders the prompt, says what a well-trained model writes after it, and reads the answer back:

    read_answer(task, direction, "".join(wrap_answer(task, direction, answer))) == answer.strip()

for every answer free of the style's own markers (and, unless prose, of line breaks). Generation and scoring both go
through these three functions, so what is scored is what would have been written.

Built-in styles, for `naming` forward and the molecule CCO (I stands for the instruction, `What is the IUPAC name ...`):

| style | prompt | answer |
| --- | --- | --- |
| chat | the tokenizer's chat template around `I` and `Answer with the IUPAC name only.` | `ethanol` |
| answer | the same, asking for `<answer>` tags | `<answer>ethanol</answer>` |
| plain | `I`, new line, `Answer:` | ` ethanol` |
| chemdfm | `[Round 0]`, new line, `Human: I`, new line, `Assistant:` | ` ethanol` |
| tagged | `[INST] I [/INST]`, with `<SMILES> CCO </SMILES>` in I | ` <IUPAC> ethanol </IUPAC>` |
| compact | `<SMILES>CCO<IUPAC>` | `ethanol` |

`chemdfm` is the format of the ChemDFM model card; `tagged` that of SMolInstruct and its LlaSMol models (every structure
is tagged SMILES, whatever its part; descriptions carry no tags); `compact` that of the bundled tiny models.

A style of one's own is a mapping in the config:

    template: "Question: {instruction}\nAnswer:"  # required; {instruction} or {source}; also {source_tag}, {output_tag}
                                                  # and {output}, the output in words
    answer: " {answer}"           # default "{answer}"; text after it must be a tag such as </answer>
    chat: false                   # true: the template becomes a user turn of the tokenizer's chat template
    tagged: false                 # true: tags as in `tagged`
    adds_special_tokens: true     # default: the opposite of chat, whose template writes them itself
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from rtrl_chem.errors import ConfigError, ModelError, did_you_mean, problems_of
from rtrl_chem.tasks.base import Direction, Domain, Task, check_placeholders, fill, read_answer_text
from rtrl_chem.time_limit import TimeIsUp, time_limit

__all__ = ["STYLES", "ChatTokenizer", "PromptStyle", "get_style", "strip_reasoning"]


# For one prompt. transformers' sandbox keeps a chat template from files and from Python's insides, not from loops.
TEMPLATE_SECONDS = 10
_OTHER_STYLE = "set model.prompt_style to plain, or to the format the model was trained with"


class ChatTokenizer(Protocol):
    """What a chat style needs of a tokenizer."""

    chat_template: Any

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> Any: ...


def _check_template(text: str) -> str:
    check_placeholders(text, [], ["instruction", "source", "source_tag", "output_tag", "output"])
    if "{instruction}" not in text and "{source}" not in text:
        raise ValueError(f"must contain {{instruction}} or {{source}}, got {text!r}")
    return text


def _check_answer(text: str) -> str:
    check_placeholders(text, ["answer"])
    closing = text.split("{answer}", 1)[1].strip()
    # Anything shorter could be part of an answer, which would then be cut there.
    if closing and not re.match(r"</?\w+>", closing):
        raise ValueError(f"after {{answer}} there may only be a tag such as </answer>, got {closing!r}")
    return text


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class PromptStyle:
    """A layout of prompts and answers; the fields are explained in the module's docstring.

    `adds_special_tokens` tells the caller whether the tokenizer must add its own (BOS) when it encodes the rendered
    prompt. Where tags are special tokens of the tokenizer, decode completions with `skip_special_tokens=False` (and
    cut at end-of-sequence), or `read_answer` will not see them.
    """

    name: str
    template: Annotated[str, AfterValidator(_check_template)]
    answer: Annotated[str, AfterValidator(_check_answer)] = "{answer}"
    chat: bool = False
    tagged: bool = False
    adds_special_tokens: bool = True

    def render(
        self, task: Task, direction: Direction | str, source: str, tokenizer: ChatTokenizer | None = None
    ) -> str:
        """The exact prompt text. A chat style needs the tokenizer: ValueError without one, ModelError if it has no
        chat template."""
        domain, output = task.source(direction), task.output(direction)
        shown = f"<{_tag(domain)}> {source} </{_tag(domain)}>" if self._has_tags(domain) else source
        values = {"instruction": task.instruction(direction, shown), "source": shown, "output": output.noun}
        text = fill(self.template, values | {"source_tag": domain.tag, "output_tag": output.tag})
        return self._as_chat(text, tokenizer) if self.chat else text

    def wrap_answer(self, task: Task, direction: Direction | str, answer: str) -> tuple[str, str, str]:
        """What a well-trained model writes after the prompt, before end-of-sequence: (opening, answer, closing)."""
        opening, closing = self._around(task, direction)
        return opening, answer.strip(), closing

    def read_answer(self, task: Task, direction: Direction | str, completion: str) -> str:
        """The answer in a completion; "" if there is none: reasoning never closed, a tag missing, no pattern match.

        Text before and after the style's tags is dropped.
        """
        text, output = strip_reasoning(completion), task.output(direction)
        opening, closing = (marker.strip() for marker in self._markers(output))
        _, found, text = text.partition(opening) if opening else ("", True, text)
        text, closed, _ = text.partition(closing) if closing else (text, True, "")
        if not (found and closed):
            return ""
        return read_answer_text(text, task.answer_pattern, output.prose)

    def _has_tags(self, domain: Domain) -> bool:
        return self.tagged and not domain.prose

    def _markers(self, output: Domain) -> tuple[str, str]:
        """The style's part of the text before and after an answer."""
        opening, closing = self.answer.split("{answer}", 1)
        if self._has_tags(output):
            return f"{opening}<{_tag(output)}> ", f" </{_tag(output)}>{closing}"
        return opening, closing

    def _around(self, task: Task, direction: Direction | str) -> tuple[str, str]:
        """The markers together with the task's own text around an answer."""
        opening, closing = self._markers(task.output(direction))
        before, after = task.answer_template.split("{answer}", 1)
        return opening + before, after + closing

    def _as_chat(self, text: str, tokenizer: ChatTokenizer | None) -> str:
        if tokenizer is None:
            raise ValueError(f"prompt style {self.name!r} renders through a chat template: pass the tokenizer")
        if getattr(tokenizer, "chat_template", None) is None:
            raise ModelError(
                f"prompt style {self.name!r} needs a chat template, the model's tokenizer has none; {_OTHER_STYLE}"
            )
        turns = [{"role": "user", "content": text}]
        try:
            with time_limit(TEMPLATE_SECONDS):
                return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
        except TimeIsUp:
            reason = f"it takes more than {TEMPLATE_SECONDS} seconds"
        except Exception as error:  # a template is a program: it may raise whatever it likes
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ModelError(f"the chat template of the model's tokenizer cannot be used ({reason}); {_OTHER_STYLE}")


def _tag(domain: Domain) -> str:
    """SMolInstruct writes <SMILES> around every structure, reactants and products too."""
    return "SMILES" if domain.is_structure else domain.tag


def strip_reasoning(completion: str) -> str:
    """The text after the model's `<think>...</think>`; "" while the reasoning is not closed.

    A closing tag alone counts as well: several chat templates end the prompt with the opening one.

    >>> strip_reasoning("<think>two carbons</think> ethanol")
    ' ethanol'
    """
    text = re.sub(r"<think>.*?</think>", "", completion, flags=re.DOTALL | re.IGNORECASE)
    text = re.split(r"</think>", text, flags=re.IGNORECASE)[-1]
    return "" if "<think>" in text.lower() else text


STYLES: dict[str, PromptStyle] = {
    style.name: style
    for style in (
        PromptStyle("chat", "{instruction}\nAnswer with the {output} only.", chat=True, adds_special_tokens=False),
        PromptStyle(
            "answer",
            "{instruction}\nWrite the {output}, and nothing else, between <answer> and </answer>.",
            answer="<answer>{answer}</answer>",
            chat=True,
            adds_special_tokens=False,
        ),
        PromptStyle("plain", "{instruction}\nAnswer:", answer=" {answer}"),
        PromptStyle("chemdfm", "[Round 0]\nHuman: {instruction}\nAssistant:", answer=" {answer}"),
        PromptStyle("tagged", "[INST] {instruction} [/INST]", answer=" {answer}", tagged=True),
        PromptStyle("compact", "<{source_tag}>{source}<{output_tag}>", adds_special_tokens=False),
    )
}


def get_style(style: str | Mapping[str, Any]) -> PromptStyle:
    """A built-in style by name, or one's own from its mapping; ConfigError, with all problems, if it is neither."""
    if isinstance(style, str):
        if style not in STYLES:
            raise ConfigError(f"prompt style {style!r} is unknown; {did_you_mean(style, STYLES)}")
        return STYLES[style]
    raw = {"name": "custom", "adds_special_tokens": style.get("chat") is not True, **style}
    try:
        return TypeAdapter(PromptStyle).validate_python(raw)
    except ValidationError as error:
        raise ConfigError(
            problems_of(error, lambda _: [field.name for field in fields(PromptStyle)]), "prompt_style"
        ) from None

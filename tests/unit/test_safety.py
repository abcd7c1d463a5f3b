"""What the package never does: run text as code, unpickle what others wrote, open a shell. Read from its own source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import rtrl_chem

PACKAGE = Path(rtrl_chem.__file__).parent
BUILTINS = {"eval", "exec", "compile", "__import__"}
CALLS = {
    "os.system",
    "os.popen",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "marshal.load",
    "marshal.loads",
    "shelve.open",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.unsafe_load",
    "builtins.eval",
    "builtins.exec",
    "pandas.read_pickle",
    "pd.read_pickle",
    "joblib.load",
}
OPTIONS = {("shell", True), ("allow_pickle", True), ("trust_remote_code", True), ("weights_only", False)}
MODULES = {"dill", "cloudpickle", "joblib", "marshal", "shelve"}
# Bytes that this process made, on their way to its own workers.
ALLOWED = {"data/prepare/chunks.py: pickle.loads"}


def offences(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield from of_call(node)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{one.name}" for one in node.names}
            yield from (names & CALLS) | ({node.module or ""} & MODULES)


def of_call(node: ast.Call) -> Iterator[str]:
    name = dotted(node.func)
    if name in BUILTINS | CALLS:
        yield name
    given = {one.arg: one.value.value for one in node.keywords if isinstance(one.value, ast.Constant)}
    yield from (f"{key}={value}" for key, value in given.items() if (key, value) in OPTIONS)
    if name == "torch.load" and given.get("weights_only") is not True:
        yield "torch.load without weights_only=True"


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_nothing_in_the_package_runs_text_or_unpickles() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 100
    found = {
        f"{file.relative_to(PACKAGE).as_posix()}: {offence}"
        for file in files
        for offence in offences(file.read_text(encoding="utf8"))
    }
    assert found == ALLOWED


@pytest.mark.parametrize(
    ("source", "offence"),
    [
        ("eval('1')", "eval"),
        ("import os; os.system('x')", "os.system"),
        ("subprocess.run('x', shell=True)", "shell=True"),
        ("from pickle import loads", "pickle.loads"),
        ("import dill", "dill"),
        ("np.load(f, allow_pickle=True)", "allow_pickle=True"),
        ("torch.load(f)", "torch.load without weights_only=True"),
        ("yaml.load(f, Loader=L)", "yaml.load"),
        ("AutoModel.from_pretrained(x, trust_remote_code=True)", "trust_remote_code=True"),
    ],
)
def test_an_offence_would_be_found(source: str, offence: str) -> None:
    assert offence in list(offences(source))


@pytest.mark.parametrize("source", ["model.eval()", "torch.load(f, weights_only=True)", "re.compile('x')"])
def test_what_only_looks_like_one_is_none(source: str) -> None:
    assert list(offences(source)) == []

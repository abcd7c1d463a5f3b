"""The figures of the reference scripts beside ours, as a Markdown table; `tests/golden` holds the differences to 1e-5.

    python scripts/golden_table.py FOLDER [--fcd]

FOLDER has `golden.json` (what the reference scripts print, by file and dialect), the predictions it names and SciBERT's
`scibert_vocab.txt`. FCD needs torch and a minute. The exit status is 1 where a difference is too large.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rtrl_chem.evaluation.metrics.dialects import DIALECTS, load_dialect
from rtrl_chem.evaluation.metrics.dialects.report import Settings
from rtrl_chem.evaluation.predictions import read_saved
from rtrl_chem.evaluation.scoring import Options, infer_direction, score_saved
from rtrl_chem.tasks import TASKS

TOLERANCE = {"fcd": 1e-2}
DEFAULT_TOLERANCE = 1e-5


def main() -> None:
    """Print the table; end with status 1 if any figure is off."""
    arguments = _arguments()
    golden = json.loads((arguments.folder / "golden.json").read_text(encoding="utf-8"))
    print("| file | as | metric | reference | ours | difference |\n| --- | --- | --- | --- | --- | --- |")
    off = 0
    for file, content in golden.items():
        path = arguments.folder / file
        if not path.is_file():
            continue
        for way, wanted in content.items():
            if isinstance(wanted, dict):
                found = figures(path, way, arguments.fcd)
                rows = list(compared(wanted, found, arguments.fcd))
                off += sum(not abs(gap) <= TOLERANCE.get(name, DEFAULT_TOLERANCE) for name, *_, gap in rows)
                for name, reference, ours, difference in rows:
                    print(f"| {file} | {way} | {name} | {reference:.10g} | {ours:.10g} | {difference:.1e} |")
    sys.exit(bool(off))


def figures(path: Path, way: str, fcd: bool) -> dict[str, Any]:
    """Our figures for a file: in a dialect, or under the defaults (canonical isomeric SMILES)."""
    predictions = read_saved(path)
    task = TASKS["reaction" if "uspto" in path.name else "captioning"]
    direction = infer_direction(task, predictions)
    if way in DIALECTS:
        vocabulary = path.with_name("scibert_vocab.txt")
        settings = Settings(vocabulary=vocabulary if vocabulary.is_file() else None, fcd=fcd)
        return dict(load_dialect(way).report(predictions, task, direction, settings).values)
    measured = score_saved(predictions, task, direction, Options(opsin=False, resamples=1))
    return {name: one.value for name, one in measured.metrics.items()}


def compared(wanted: dict[str, float], found: dict[str, Any], fcd: bool) -> Iterator[tuple[str, float, float, float]]:
    """(metric, reference, ours, difference) of each figure that was asked for."""
    for name, reference in wanted.items():
        if name == "fcd" and not fcd:
            continue
        ours = float("nan") if found.get(name) is None else float(found[name])
        yield name, reference, ours, ours - reference


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="with golden.json and the predictions it names")
    parser.add_argument("--fcd", action="store_true", help="the Fréchet ChemNet distance as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()

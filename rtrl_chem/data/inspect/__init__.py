"""The corpus doctor: what is in a corpus or a file of pairs, and what is wrong with it.

`inspect` reads every row once for what is cheap to count and looks closely at a random sample of them.
"""

from rtrl_chem.data.inspect.findings import Count, Drawn, Example, Histogram, Inspection, Overlap, Section
from rtrl_chem.data.inspect.overlap import Known, known_from
from rtrl_chem.data.inspect.run import Options, inspect
from rtrl_chem.data.inspect.source import Source, open_source

__all__ = [
    "Count",
    "Drawn",
    "Example",
    "Histogram",
    "Inspection",
    "Known",
    "Options",
    "Overlap",
    "Section",
    "Source",
    "inspect",
    "known_from",
    "open_source",
]

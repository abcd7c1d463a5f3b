"""The corpus doctor: what is in a corpus or a file of pairs, and what is wrong with it.

`inspect` reads every row once for what is cheap to count and looks closely at a random sample of them.
"""

from rtrl_chem.data.inspect.findings import Count, Drawn, Example, Histogram, Inspection, Overlap, Section
from rtrl_chem.data.inspect.overlap import Benchmark, benchmark_of
from rtrl_chem.data.inspect.run import Options, inspect
from rtrl_chem.data.inspect.source import Source, open_source

__all__ = [
    "Benchmark",
    "Count",
    "Drawn",
    "Example",
    "Histogram",
    "Inspection",
    "Options",
    "Overlap",
    "Section",
    "Source",
    "benchmark_of",
    "inspect",
    "open_source",
]

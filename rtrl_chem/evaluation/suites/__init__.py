"""Benchmark suites: what is asked of a model, of which data, how it answers and what counts.

`schema` is the file format, `data` finds and reads the rows, `run` asks the model and measures, `guard` watches over
abilities that training does not aim at. The suites themselves are `eval/*.yaml` of the repository.
"""

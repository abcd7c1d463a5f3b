"""`rtrl-chem prepare`: any files of molecules or reactions -> a prepared corpus, in flat memory and on every core.

The way of a row, one module each:

    settings       what is asked for
    inputs         files, folders, globs, Hub data sets -> rows -> chunks of 20,000
    clean          the chemistry of one row: repair, standardise, filter, canonicalise, or the reason it is dropped
    decontaminate  is it in a benchmark suite?
    chunks         one chunk -> one small Parquet file, in any process of any machine
    engine         where chunks are worked on: here, in processes, on a Dask cluster
    dedup          which rows are the first of their kind, out of core
    shards         the corpus folder: shards, rejects, manifest
    run            the order of it all, and going on after an interruption
"""

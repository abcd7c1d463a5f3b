"""Scores of single items, one file per family: pure functions of strings, usable without torch and without our models.

Every function answers for every row: what is empty, invalid or missing scores 0, so denominators are always all rows.
"""

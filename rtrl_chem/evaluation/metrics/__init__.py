"""The field's metrics, one file per family: pure functions of strings, usable without torch and without our models.

A family gives one number, or one row of counts, per item (`score.Score`), so that a bootstrap can resample items. Every
function answers for every row: what is empty, invalid or missing scores 0, and where a metric's denominator is not all
rows its `Score` says so in words. What reference scripts do differently is in `dialects`.
"""

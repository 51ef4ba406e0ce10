"""Grading of exercises in bulk: ``python -m coursekit.grading SUBMISSIONS/ --out grades.csv``.

A student's notebook runs in a sandbox, answers questions on random inputs, and only plain values come out. They are
compared here with what the solution answers, so that there is no test to read and no verdict to forge.
"""

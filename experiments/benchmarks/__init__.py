"""Benchmarks, each a module: ``python -m experiments.benchmarks.NAME``.

Each checks results for equality, times them and writes NAME.json.
"""

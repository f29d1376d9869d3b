"""Matching photographs: what Lightning runs, its results and its report."""

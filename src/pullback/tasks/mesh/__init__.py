"""Matching meshes: what Lightning runs, its results and its report."""

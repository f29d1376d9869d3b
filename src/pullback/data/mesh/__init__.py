"""Meshes: readers of files, prepared shapes, data sets, and what Lightning loads."""

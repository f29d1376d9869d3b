"""Mesh files for other programs. Vertices and faces keep their order wherever the format can."""

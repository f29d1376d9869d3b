"""Pullback: correspondence with functional maps, between 3D shapes and between images."""

__version__ = "0.1.0"

"""Algorithms that turn features or maps of a pair into a match."""

"""Photographs: readers of files, data sets, and what Lightning loads."""

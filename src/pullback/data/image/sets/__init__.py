"""The data sets of photographs, one file each."""

"""The data sets of meshes, one file each."""

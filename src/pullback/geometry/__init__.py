"""From triangle meshes and patch grids to operators and bases: validation, Laplacians, gradients, spectra, descriptors,
geodesics.
"""

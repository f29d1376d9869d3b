"""From raw triangle meshes to operators and bases: validation, Laplacians, gradients, spectra, descriptors, geodesics."""

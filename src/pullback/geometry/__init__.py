"""From meshes and patch grids to operators, bases, descriptors and geodesics."""

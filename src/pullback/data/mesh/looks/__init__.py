"""What mesh files say of a surface beside its shape: colours, textures, labels and other values; by format."""

"""Files of a match for other programs: what the source wears on the target, the source in the target's pose, tables."""

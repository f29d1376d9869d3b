"""What ``import pullback`` offers: the verbs of the command line for notebooks and other programs."""

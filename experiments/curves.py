"""``python -m experiments.curves``: the same as ``pullback curves``."""

from pullback.__main__ import main

if __name__ == "__main__":
    main("curves")

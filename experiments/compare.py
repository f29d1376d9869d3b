"""``python -m experiments.compare``: the same as ``pullback compare``."""

from pullback.__main__ import main

if __name__ == "__main__":
    main("compare")

"""``python -m experiments.paired``: the same as ``pullback paired``."""

from pullback.__main__ import main

if __name__ == "__main__":
    main("paired")

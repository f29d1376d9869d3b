"""``python -m experiments.tables``: the same as ``pullback tables``."""

from pullback.__main__ import main

if __name__ == "__main__":
    main("tables")

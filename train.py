"""Train, evaluate the best checkpoint, write the report: ``python train.py experiment=quickstart``."""

from pullback.__main__ import main

if __name__ == "__main__":
    main("train")

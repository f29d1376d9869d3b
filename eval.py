"""Evaluate a checkpoint, a baseline, or stored predictions: ``python eval.py dataset=faust ckpt=FILE``."""

from pullback.__main__ import main

if __name__ == "__main__":
    main("eval")

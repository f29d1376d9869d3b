"""Figure 5 of Magnet & Ovsjanikov 2024: ``python -m experiments.smoothness``."""

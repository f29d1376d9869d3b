"""Tasks: what Lightning trains and runs, the callbacks around it, stored predictions and results."""

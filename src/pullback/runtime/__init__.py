"""From a composed configuration to a run: the only package that knows Hydra.

Importing it is cheap; its modules are not.
"""

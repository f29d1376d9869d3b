"""Parts of `make_humans.py` and `make_bodies.py`: the body model, tables of identities and poses or random ones, remeshers."""

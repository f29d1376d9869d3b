"""Parts of `make_humans.py` and `make_bodies.py`: the body model, identities and poses, remeshers."""

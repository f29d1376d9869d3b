"""Parts of `make_humans.py`: the body model, the tables of identities and poses, and the remesher."""

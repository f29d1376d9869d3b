"""Networks: shapes or photographs in, features at the points or patches out."""

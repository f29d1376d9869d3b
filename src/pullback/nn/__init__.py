"""Networks: shapes in, features at the points out."""

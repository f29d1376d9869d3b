"""Finished runs side by side: tables, paired tests and curves from the files that each run left."""

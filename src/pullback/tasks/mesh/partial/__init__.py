"""A part in a whole: noticed, the region of the whole found that it matches, and matched with that region alone."""

"""From files to pairs of prepared shapes: readers, the cache, data sets, and what Lightning loads."""

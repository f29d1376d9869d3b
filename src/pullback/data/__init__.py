"""From files to pairs of prepared shapes or photographs: readers, the cache, data sets, and what Lightning loads."""

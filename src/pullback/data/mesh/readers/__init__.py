"""One file a mesh format: from bytes to vertices and triangles, or to a sentence that says what is wrong."""

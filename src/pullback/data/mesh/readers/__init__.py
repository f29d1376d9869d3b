"""One file a mesh format: from the bytes of a file to vertices and triangles,
or to a sentence that says what is wrong with it.
"""

"""What a person looks at: correspondences of shapes and of photographs, curves, functional maps, HTML reports.

No display, no network. Each file is imported for itself: some need matplotlib, which takes a second.
"""

"""Match two meshes or two photographs: ``python match.py a.off b.off``, ``python match.py a.jpg b.jpg``."""

from pullback.__main__ import main

if __name__ == "__main__":
    main("match")

"""Pages that a notebook shows, a browser opens and a file keeps."""

import tempfile
import webbrowser
from dataclasses import dataclass
from pathlib import Path

from pullback.writing import write_text_atomically


@dataclass(frozen=True, repr=False)
class Page:
    """A whole HTML document that needs neither network nor files."""

    html: str
    height: int = 640  # pixels in a notebook

    def _repr_html_(self) -> str:
        """What a notebook shows: the page in a frame of its own, with scripts but without access to the notebook."""
        from pullback.figures.page import page  # slow to import

        return page("frame.html.j2", html=self.html, height=self.height)

    def save(self, path: str | Path) -> Path:
        """Writes the page into a file and returns its path."""
        write_text_atomically(Path(path), self.html)
        return Path(path)

    def open(self) -> Path:
        """Shows the page in a browser, from a temporary file whose path is returned."""
        path = self.save(Path(tempfile.mkdtemp(prefix="pullback-")) / "viewer.html")
        webbrowser.open(path.as_uri())
        return path

    def __repr__(self) -> str:
        return f"Page({len(self.html) / 2**20:.1f} MiB; a notebook shows it, save(PATH) keeps it, open() opens it)"

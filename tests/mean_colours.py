"""The simplest backbone there is: the mean colour of each patch."""

from pullback.nn.image_backbone import ImageBackbone


class MeanColours(ImageBackbone):
    """Patches of 4 pixels. ``seen`` are the names of the photographs that went through."""

    def __init__(self, *, size: int = 32):
        super().__init__(size=size, multiple=4)
        self.seen = []
        self.freeze()

    def options(self):
        return {}

    def compute(self, images, photos):
        self.seen += [photo.name for photo in photos]
        return {"colour": images.unflatten(2, (-1, 4)).unflatten(4, (-1, 4)).mean(dim=(3, 5))}

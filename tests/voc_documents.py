"""PASCAL VOC's annotation files in a few lines."""


def voc_annotation(image, objects):
    """XML of one image, with what the official files have around the names; an object is a name or (name, mark)."""
    pairs = [(each, 0) if isinstance(each, str) else each for each in objects]
    return (
        f"<annotation>\n\t<folder>VOC2012</folder>\n\t<filename>{image}.jpg</filename>\n"
        "\t<source><database>The VOC2007 Database</database></source>\n"
        "\t<size><width>8</width><height>8</height><depth>3</depth></size>\n"
        + "".join(
            f"\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>Left</pose>\n\t\t<truncated>0</truncated>\n"
            f"\t\t<difficult>{difficult}</difficult>\n"
            "\t\t<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>7</xmax><ymax>7</ymax></bndbox>\n"
            "\t\t<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>\n\t</object>\n"
            for name, difficult in pairs
        )
        + "</annotation>\n"
    )

"""Data sets that fit into a test, in the official layouts: annotations in full, images empty unless they are opened."""

import json

import pytest


@pytest.fixture
def voc_set(make_tree):
    """Lay out VOC: split to (image to objects); an object is a name or (name, difficult); None leaves the XML out.

    With `files`, further relative paths are laid out too.
    """

    def write(splits, base="VOCdevkit/VOC2012", files=()):
        root = make_tree(f"{base}/JPEGImages/", f"{base}/Annotations/", f"{base}/ImageSets/Main/", *files)
        for split, images in splits.items():
            (root / base / f"ImageSets/Main/{split}.txt").write_text("".join(f"{image}\n" for image in images))
            for image, objects in images.items():
                (root / base / f"JPEGImages/{image}.jpg").touch()
                if objects is not None:
                    (root / base / f"Annotations/{image}.xml").write_text(voc_annotation(image, objects))
        return root

    return write


def voc_annotation(image, objects):
    """The XML of one image, with what surrounds the names in the official files."""
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


@pytest.fixture
def coco_set(make_tree):
    """Lay out COCO: split with year to a document; every image that a document names is there."""

    def write(documents, inside="", kind="instances", files=()):
        root = make_tree("annotations/", *files)
        for split, document in documents.items():
            (root / f"annotations/{kind}_{split}.json").write_text(json.dumps(document))
            make_tree(f"{inside}{split}/", *(f"{inside}{split}/{each['file_name']}" for each in document["images"]))
        return root

    return write

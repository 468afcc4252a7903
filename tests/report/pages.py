"""A rendered page, taken apart with the standard library."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "col"}


class Page(HTMLParser):
    """Texts, tables and addresses of a page; unbalanced elements are an error."""

    def __init__(self, html):
        super().__init__()
        self.html = html
        self.open = []
        self.tags = []
        self.ids = []
        self.rows = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append([attributes, ""])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in {"dt", "dd", "li", "p", "th", "td"}:
            self.text += " "

    def handle_data(self, data):
        if "script" in self.open or "style" in self.open:
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1][1] += data

    def row(self, name):
        """Cells of the first table row whose heading starts with a name: (attributes, text)."""
        found = [row for row in self.rows if row and row[0][1].startswith(name)]
        return [(attributes, " ".join(text.split())) for attributes, text in found[0][1:]]

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

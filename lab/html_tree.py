"""HTML as a tree, read strictly."""

from html.parser import HTMLParser
from xml.etree.ElementTree import Element, TreeBuilder

VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])


class TreeReader(HTMLParser):
    """Reads HTML into a tree; raises `AssertionError` where an element is not closed as it was opened."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self._builder = TreeBuilder()
        self._open: list[str] = []

    def handle_starttag(self, tag, attributes):
        assert len(attributes) == len(dict(attributes)), f"<{tag}> has an attribute twice"
        self._builder.start(tag, {name: value or "" for name, value in attributes})
        if tag in VOID:
            self._builder.end(tag)
        else:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> closes another element"
        self._builder.end(tag)

    def handle_data(self, data):
        self._builder.data(data)

    def tree(self, html: str) -> Element:
        self._builder.start("document", {})
        self.feed(html)
        self.close()
        assert not self._open, f"not closed: {self._open}"
        self._builder.end("document")
        return self._builder.close()


def words(element: Element) -> str:
    """What an element says, on one line."""
    return " ".join("".join(element.itertext()).split())

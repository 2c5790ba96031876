"""A model's Markdown as HTML that can run nothing.

Two fences: markdown-it leaves raw HTML as text, and nh3 lets only the tags and attributes below out of what it makes.
"""

from typing import Final

import nh3
from markdown_it import MarkdownIt

_PARSER: Final = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
_PARSER.render("*")  # its rules are compiled at first use, which had better not be in two threads at once
_TAGS: Final = frozenset(
    "p br hr h1 h2 h3 h4 h5 h6 strong em s code pre blockquote ul ol li table thead tbody tr th td a".split()  # noqa: SIM905 - reads best as a line
)
_ATTRIBUTES: Final = {"a": {"href", "title"}, "ol": {"start"}, "code": {"class"}}
_SCHEMES: Final = frozenset({"http", "https", "mailto"})


def render(text: str) -> str:
    """The HTML of a text. Links open elsewhere and tell nobody where they were followed from; images are left out."""
    return nh3.clean(
        _PARSER.render(text),
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )

"""A model's Markdown as HTML that can run nothing.

Two safeguards: markdown-it leaves raw HTML as text, and nh3 keeps only the tags and attributes below.
"""

import html
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from math_core import LatexError, LatexToMathML

from b2b_chat.product.web.markdown_rules import add_rules

Hidden: TypeAlias = tuple[tuple[str, str], ...]
"""Values, and what is said of each."""

_TAGS: Final = frozenset(
    "span p br hr h1 h2 h3 h4 h5 h6 strong em s sup code pre blockquote ul ol li table thead tbody tr th td a".split()  # noqa: SIM905 - reads best as a line
)
# Of MathML what formulas are made of: nothing that links, embeds or annotates, in which browsers expect HTML again.
_FORMULA_TAGS: Final = frozenset(
    "math mi mn mo mrow ms mspace mtext mfrac mroot msqrt msub msubsup msup mover munder munderover mmultiscripts "  # noqa: SIM905 - as above
    "mprescripts mpadded mphantom mstyle menclose mtable mtd mtr".split()
)
_ATTRIBUTES: Final = {
    "a": {"href", "title"},
    "span": {"class", "title"},  # of hidden values: what a model writes as HTML stays text
    "ol": {"start"},
    "code": {"class"},
    "th": {"align"},
    "td": {"align"},
    "math": {"display"},
    "mi": {"mathvariant"},
    "mo": {"stretchy", "lspace", "rspace", "form", "fence", "separator", "symmetric", "movablelimits", "largeop"},
    "mspace": {"width"},
    "mfrac": {"linethickness"},
    "mover": {"accent"},
    "munder": {"accentunder"},
    "munderover": {"accent", "accentunder"},
    "mtable": {"displaystyle", "scriptlevel"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "menclose": {"notation"},
}
_SCHEMES: Final = frozenset({"http", "https", "mailto"})
_DISPLAYED: Final = ("$$", "\\[")
_KEPT_TEXTS: Final = 128
_MAX_HTML_CHARS: Final = 400_000
_MAX_BRACES: Final = 200
"""Beyond these bounds a formula stays as it is written."""


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    add_rules(parser)
    for kind in ("formula", "formula_block"):
        parser.add_render_rule(kind, _formula)
    parser.add_render_rule("text", _text)
    parser.render("*")  # its rules are compiled at first use, which had better not be in two threads at once
    return parser


def _formula(_: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
    """Return a formula as MathML; one that cannot be read as it is written, so that nothing is lost."""
    token = tokens[index]
    width = 1 if token.content.startswith("$") and not token.content.startswith("$$") else 2
    opening, latex = token.content[:2], token.content.strip(" .,;")[width:-width].strip()
    written = html.escape(token.content)
    if latex.count("{") + latex.count("\\left") + latex.count("\\begin") <= _MAX_BRACES:
        try:
            return _FORMULAS.convert_with_local_state(latex, displaystyle=opening in _DISPLAYED)
        except LatexError:
            pass
    return f"<pre><code>{written}</code></pre>\n" if token.type == "formula_block" else f"<code>{written}</code>"


def _text(_: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, env: EnvType) -> str:
    return underlined(tokens[index].content, env["hidden"])


def underlined(text: str, hidden: Hidden) -> str:
    """Return a text as HTML, with each value that did not cross the border in a `span` that says what it is."""
    if not hidden:
        return html.escape(text)
    names = dict(hidden)
    longest_first = "|".join(re.escape(value) for value in sorted(names, key=len, reverse=True))
    pieces = re.split(rf"(?<!\w)({longest_first})(?!\w)", text)
    for place in range(1, len(pieces), 2):
        title = html.escape(names[pieces[place]])
        pieces[place] = f'<span class="hidden-value" title="{title}">{html.escape(pieces[place])}</span>'
    pieces[::2] = map(html.escape, pieces[::2])
    return "".join(pieces)


_FORMULAS: Final = LatexToMathML()
_PARSER: Final = _parser()


@lru_cache(maxsize=_KEPT_TEXTS)
def render(text: str, hidden: Hidden = ()) -> str:
    """Return the HTML of a text. Links open in a new tab and send no referrer.

    Args:
        text: A model's Markdown.
        hidden: Values in it that did not cross the border, and what is said of each; they are underlined.

    A text decides all of it, so that one that is looked at again is not rendered again. One whose HTML would be out of
    all proportion is shown as it is written.
    """
    rendered = _rendered(text, hidden)
    return rendered if len(rendered) <= _MAX_HTML_CHARS else f"<pre>{html.escape(text)}</pre>"


def _rendered(text: str, hidden: Hidden) -> str:
    return nh3.clean(
        _PARSER.render(text, {"hidden": hidden}),
        tags=set(_TAGS | _FORMULA_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )

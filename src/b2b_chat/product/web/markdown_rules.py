"""Markdown of models beyond CommonMark: formulas, footnotes, task lists, bare addresses, and emphasis in Russian.

Rules for markdown-it. None of them makes HTML: they only make tokens, which the parser renders and escapes.
"""

import re
import unicodedata
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.table import table
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token

MAX_CELLS: Final = 5_000
"""Cells of all tables of a text. A row is filled up to the width of its table, so a short text could have many more."""
_MAX_FORMULA_CHARACTERS: Final = 4_000

_BREAK: Final = re.compile(r"<br\s*/?>", re.IGNORECASE)
_FORMULA_ENDS: Final = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}
_FORMULA_OF_LINES: Final = re.compile(r"\s*(\$\$|\\\[)")
# One dollar: as a formula only where neither end has a space beside it and no figure follows, so that prices stay.
_DOLLARS: Final = re.compile(r"\$(?![\s$])(?:\\.|[^$\\\n]){0,400}?(?<![\s\\])\$(?![\w$])")
# What has no operator in it is more likely two prices, unless it is as short as `$x$` or `$f(x)$`.
_DOLLARS_OF_FORMULA: Final = re.compile(
    r"^\$[A-Za-z]{1,2}'*(?:\([\w, ]+\))?\$$|\\[A-Za-z]|^[^\u0400-\u04ff]*[_^=<>+][^\u0400-\u04ff]*$", re.IGNORECASE
)
_FOOTNOTE: Final = re.compile(r"\[\^([^\]\s\[]{1,40})\]")
_FOOTNOTE_TEXT: Final = re.compile(r"\[\^([^\]\s\[]{1,40})\]:[ \t]*(.*)")
_TASK: Final = re.compile(r"\[([ xX])\][ \t]+")
_BOXES: Final = {" ": "☐ ", "x": "☑ ", "X": "☑ "}
# Neither what ends a text around it nor what turns around or hides what is shown.
_ADDRESS: Final = re.compile(
    r"(?<![\w@/])https?://[^\s<>\"«»“”`|\\^\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f]+"
)
_AFTER_ADDRESS: Final = ".,:;!?…*_~'"
_OPENERS: Final = {")": "(", "]": "[", "}": "{"}
_OPENING: Final = frozenset({"Ps", "Pi"})
_CLOSING: Final = frozenset({"Pe", "Pf"})


def add_rules(parser: MarkdownIt) -> None:
    """Add all rules to a parser."""
    inline, block, core = parser.inline.ruler, parser.block.ruler, parser.core.ruler
    inline.before("escape", "formula", _formula)
    inline.before("link", "footnote", _footnote)
    inline.before("autolink", "break", _break)
    inline.at("emphasis", _emphasis)
    block.at("table", _bounded_table, {"alt": ["paragraph", "reference"]})
    block.before("fence", "formula", _formula_of_lines, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    block.before("reference", "footnote", _footnote_text, {"alt": ["paragraph", "reference"]})
    core.push("tasks", _tasks)
    core.push("alignments", _alignments)
    core.push("images", _images)
    core.push("addresses", _addresses)


def _formula(state: StateInline, silent: bool) -> bool:
    start = state.pos
    opening = state.src[start : start + 2]
    closing = _FORMULA_ENDS.get(opening)
    if closing is not None:
        end = state.src.find(closing, start + 2, min(state.posMax, start + _MAX_FORMULA_CHARACTERS))
        if end > start + 2:
            return _push_formula(state, end + 2, silent)
    single = _DOLLARS.match(state.src, start, state.posMax)
    if single is not None and _DOLLARS_OF_FORMULA.search(single[0]):
        return _push_formula(state, single.end(), silent)
    return False


def _push_formula(state: StateInline, end: int, silent: bool) -> bool:
    if not silent:
        token = state.push("formula", "code", 0)
        token.content = state.src[state.pos : end]
    state.pos = end
    return True


def _formula_of_lines(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    if state.is_code_block(start_line):
        return False
    begin = state.bMarks[start_line] + state.tShift[start_line]
    opening = _FORMULA_OF_LINES.match(state.src, begin, state.eMarks[start_line])
    if opening is None:
        return False
    closing = _FORMULA_ENDS[opening[1]]
    for line in range(start_line, end_line):
        if line > start_line and state.sCount[line] < state.blkIndent and not state.isEmpty(line):
            return False
        from_position = opening.end() if line == start_line else state.bMarks[line]
        end = state.src.find(closing, from_position, state.eMarks[line])
        if end >= 0:
            break
        if state.bMarks[line] - begin > _MAX_FORMULA_CHARACTERS:
            return False
    else:
        return False
    if state.src[end + 2 : state.eMarks[line]].strip(" .,;") or end == opening.end():
        return False
    if not silent:
        state.line = line + 1
        token = state.push("formula_block", "pre", 0)
        token.map = [start_line, line + 1]
        token.content = state.getLines(start_line, line + 1, state.blkIndent, keepLastLF=False).strip()
    return True


def _footnote(state: StateInline, silent: bool) -> bool:
    found = _FOOTNOTE.match(state.src, state.pos, state.posMax)
    if found is None or found[1] not in state.env.get("footnotes", ()):
        return False
    if not silent:
        state.push("footnote_open", "sup", 1)
        state.push("text", "", 0).content = found[1]
        state.push("footnote_close", "sup", -1)
    state.pos = found.end()
    return True


def _footnote_text(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    if state.is_code_block(start_line):
        return False
    begin = state.bMarks[start_line] + state.tShift[start_line]
    found = _FOOTNOTE_TEXT.match(state.src, begin, state.eMarks[start_line])
    if found is None:
        return False
    if silent:
        return True
    line = start_line + 1
    while line < end_line and not state.isEmpty(line) and not _starts_footnote(state, line):
        line += 1
    state.env.setdefault("footnotes", set()).add(found[1])
    more = state.getLines(start_line + 1, line, state.blkIndent, keepLastLF=False).strip()
    state.line = line
    state.push("paragraph_open", "p", 1).map = [start_line, line]
    token = state.push("inline", "", 0)
    token.map = [start_line, line]
    token.content = f"[^{found[1]}] {found[2].strip()}\n{more}".strip()
    token.children = []
    state.push("paragraph_close", "p", -1)
    return True


def _starts_footnote(state: StateBlock, line: int) -> bool:
    begin = state.bMarks[line] + state.tShift[line]
    return _FOOTNOTE_TEXT.match(state.src, begin, state.eMarks[line]) is not None


def _break(state: StateInline, silent: bool) -> bool:
    found = _BREAK.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        state.push("hardbreak", "br", 0)
    state.pos = found.end()
    return True


def _emphasis(state: StateInline, silent: bool) -> bool:
    """As CommonMark has it; besides, `**` may stand between a letter and what is bold with its punctuation.

    CommonMark wants a space there, which nobody writes in `**«Ромашка»**ом` or `**Итого:**сумма`.
    """
    start = state.pos
    marker = state.src[start]
    if silent or marker not in "_*":
        return False
    scanned = state.scanDelims(start, marker == "*")
    can_open, can_close = scanned.can_open, scanned.can_close
    if marker == "*" and scanned.length > 1:
        end = start + scanned.length
        before = state.src[start - 1] if start else " "
        after = state.src[end] if end < state.posMax else " "
        can_open |= before.isalpha() and _is_punctuation(after, but_not=_CLOSING)
        can_close |= after.isalpha() and _is_punctuation(before, but_not=_OPENING)
    for _ in range(scanned.length):
        state.push("text", "", 0).content = marker
        state.delimiters.append(
            Delimiter(ord(marker), scanned.length, len(state.tokens) - 1, -1, open=can_open, close=can_close)
        )
    state.pos += scanned.length
    return True


def _is_punctuation(character: str, *, but_not: frozenset[str]) -> bool:
    category = unicodedata.category(character)
    return category[0] in "PS" and category not in but_not


def _bounded_table(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """As markdown-it has it; a table that would take a text over its number of cells stays as it is written."""
    if not table(state, start_line, end_line, silent=True):
        return False
    if silent:
        return True
    columns = state.src[state.bMarks[start_line] : state.eMarks[start_line]].count("|") + 1
    rows = next((line for line in range(start_line, end_line) if state.isEmpty(line)), end_line) - start_line
    cells = state.env.get("cells", 0) + columns * rows
    if cells > MAX_CELLS:
        return False
    state.env["cells"] = cells
    return table(state, start_line, end_line, silent=False)


def _tasks(state: StateCore) -> None:
    tokens = state.tokens
    for item, paragraph, inline in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if (item.type, paragraph.type, inline.type) != ("list_item_open", "paragraph_open", "inline"):
            continue
        first = next(iter(inline.children or ()), None)
        if first is not None and first.type == "text" and (box := _TASK.match(first.content)):
            first.content = _BOXES[box[1]] + first.content[box.end() :]


def _alignments(state: StateCore) -> None:
    """The page's policy allows no styles in its HTML."""
    for token in state.tokens:
        style = token.attrs.pop("style", "") if token.type in {"th_open", "td_open"} else ""
        if style:
            token.attrs["align"] = str(style).removeprefix("text-align:")


def _images(state: StateCore) -> None:
    """A picture is not loaded, which would reveal the reader to its host: its text is a link instead."""
    for token in state.tokens:
        children, depth = [], 0
        for child in token.children or []:
            depth += child.nesting if child.type in {"link_open", "link_close"} else 0
            if child.type == "image":
                children += _link(str(child.attrs["src"]), child.content, plain=depth > 0)
            else:
                children.append(child)
        if token.children is not None:
            token.children = children


def _addresses(state: StateCore) -> None:
    for token in state.tokens:
        children, depth = [], 0
        for child in token.children or []:
            depth += child.nesting if child.type in {"link_open", "link_close"} else 0
            if child.type == "text" and depth == 0 and "http" in child.content:
                children += _linked(state.md, child.content)
            else:
                children.append(child)
        if token.children is not None:
            token.children = children


def _linked(parser: MarkdownIt, text: str) -> list[Token]:
    """A text with its addresses as links."""
    tokens, position = [], 0
    for found in _ADDRESS.finditer(text):
        address = _without_what_follows(found[0])
        href = parser.normalizeLink(address)
        if address.endswith("//") or not parser.validateLink(href):
            continue
        tokens += [_text(text[position : found.start()]), *_link(href, address)]
        position = found.start() + len(address)
    return [*tokens, _text(text[position:])]


def _without_what_follows(address: str) -> str:
    """An address without the punctuation of the sentence around it; a bracket stays if it was opened within."""
    while address[-1] in _AFTER_ADDRESS or address.count(address[-1]) > address.count(
        _OPENERS.get(address[-1], address[-1])
    ):
        address = address[:-1]
    return address


def _link(href: str, text: str, *, plain: bool = False) -> list[Token]:
    if plain:
        return [_text(text)]
    return [Token("link_open", "a", 1, attrs={"href": href}), _text(text or href), Token("link_close", "a", -1)]


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)

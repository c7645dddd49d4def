"""What every page has to fulfil: axe finds nothing in light and dark, wide and narrow, and nothing scrolls sideways."""

from playwright.sync_api import Page

from .panel import ROOT

AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
RUN = """async only => {
    const rules = {"target-size": {enabled: true}};
    const options = only ? {runOnly: only} : {rules};
    const {violations} = await axe.run(document, {...options, resultTypes: ["violations"]});
    const told = (id, {html, failureSummary}) => `${id}: ${html.slice(0, 160)} ${failureSummary}`;
    return violations.flatMap(({id, nodes}) => nodes.map(node => told(id, node)));
}"""
DESKTOP, PHONE, ZOOMED = (1280, 800), (360, 740), (320, 640)


def examine(page: Page) -> None:
    """Assert that the page, as it stands, can be used by everybody."""
    page.evaluate(AXE)
    for width, height in (ZOOMED, PHONE, DESKTOP):
        page.set_viewport_size({"width": width, "height": height})
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), f"scrolls sideways at {width} px"
        if (width, height) != ZOOMED:
            assert page.evaluate(RUN) == [], f"light, {width} px"
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(RUN, ["color-contrast", "link-in-text-block"]) == [], "dark"
    page.emulate_media(color_scheme="light")

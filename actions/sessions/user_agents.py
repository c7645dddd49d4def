"""A name for a browser that people understand, from the header that it sends."""

from actions.ground.addresses import holds_web_address

# The order matters: most browsers also name those that they descend from.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("CrOS", "Chromebook"),
    ("Linux", "Linux"),
)
LONGEST_UNKNOWN = 40


def browser_name(user_agent: str) -> str:
    """“Firefox, Linux”; for an unknown header, its beginning without web addresses, because our e-mails contain it. The
    words are the same in every language."""
    browser = next((name for mark, name in BROWSERS if f"{mark}/" in user_agent), "")
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    if browser:
        return ", ".join(filter(None, [browser, system]))
    words = ("…" if holds_web_address(word) else word for word in user_agent.split())
    return " ".join(words)[:LONGEST_UNKNOWN]


def is_hand_held(user_agent: str) -> bool:
    """Whether the browser says that it runs on a telephone or a tablet."""
    return any(mark in user_agent for mark in ("Android", "iPhone", "iPad"))

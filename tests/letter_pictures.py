"""`python -m tests.letter_pictures` takes pictures of every e-mail, as a mail program may show it.

Each picture has one e-mail in wide and narrow windows, light and dark, and once with images off. They stay in
`tests/pictures/letters`, so that whoever changes a template sees what became of the others.
"""

import base64
import io
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, sync_playwright

from actions.ground.ports import Letter
from adapters.letters import TemplateLetters
from lab import geoip
from lab.chromium import ARGUMENTS, CHROMIUM
from lab.installation import environment_of
from settings import Settings

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "tests" / "pictures" / "letters"
NAMES = sorted(path.stem for path in (ROOT / "templates" / "messages").glob("*.jinja"))
# Besides English, these e-mails in Russian, whose words are long.
IN_RUSSIAN = ("devices_made", "password_changed")
WIDE, NARROW = 700, 360
# Width, colours, and whether images are on.
VIEWS = [(width, colours, True) for width in (WIDE, NARROW) for colours in ("light", "dark")] + [(WIDE, "light", False)]
COLOURS, GAP = 32, 12

MAILBOX, LINK = (
    "anna@example.org",
    "https://account.example.org/links/not-me/W8f0uXcQYk3m5PpT7n2rZ1dLs9hVbJg6aEyKoNiCxRt",
)
FACTS = {
    "login": MAILBOX,
    "name": "Anna Keller",
    "by": "manager@example.org",
    "at": 1_796_051_272,
    "timezone": "Europe/Rome",
    "address": "198.51.100.24",
    "browser": "Firefox, Windows",
    "link": LINK,
    "days": 7,
    "hours": 24,
    "minutes": 10,
    "device": "Anna's phone",
    "devices": ["Anna's phone", "Office PC"],
    "invited": "",
    "code": "402817",
    "contact": "anna.keller@example.com",
    "former": "a.keller@example.org",
    "forwards": True,
    "everywhere": True,
    "is_link": False,
    "is_first": True,
    "is_pdf": True,
    "count": 12,
    "domain": "example.org",
    "phone": "••• 4567",
    "what": "A device was disconnected",
    "names": ["Anna's phone"],
    "inviter": "Anna Keller",
    "inviter_login": MAILBOX,
    "mailbox": MAILBOX,
    "owner": "Anna Keller",
    "permissions": ["Read", "Send"],
    "uses_mail_programs": True,
}
CHANGES = {
    "device_made": {"by": MAILBOX},
    "devices_made": {
        "by": MAILBOX,
        "more": [
            FACTS | {"device": "Office PC", "browser": "Edge, Windows", "by": MAILBOX},
            FACTS | {"device": "<img src=x>", "invited": "boris@example.com", "browser": "Safari, iPhone"},
        ],
    },
    "device_password_changed": {"by": MAILBOX},
    "device_in_new_network": {"browser": "IMAP"},
    "password_link": {"hours": 168},
    "account_locked_manager": {"name": "Mara Lind"},
} | {
    name: {"login": f"carla/{MAILBOX}", "name": "Carla Rossi", "days": 1 if name == "collaboration_reset" else 7}
    for name in NAMES
    if name.startswith("collaboration_")
}


def main() -> None:
    """Take the pictures of the e-mails that are named, or of all."""
    PLACE.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or NAMES
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        host = _host(Path(directory))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        for name, language in _letters(wanted):
            letter = host.write(name, language, FACTS | CHANGES.get(name, {}))
            _picture(browser, letter).save(PLACE / f"{name}.{language}.png", optimize=True)
        browser.close()


def _letters(wanted: list[str]) -> Iterator[tuple[str, str]]:
    yield from ((name, "en") for name in wanted)
    yield from ((name, "ru") for name in wanted if name in IN_RUSSIAN)


def _host(directory: Path) -> TemplateLetters:
    """What writes the e-mails of a host that set everything."""
    rome = {"city": {"names": {"en": "Rome", "ru": "Рим"}}, "country": {"iso_code": "IT"}}
    settings = replace(
        Settings.load(environment_of(directory, "sqlite:///unused.db")),
        base_url="https://account.example.org",
        product_name="Example Mail",
        logo=str(_logo(directory / "logo.png")),
        support_url="https://help.example.org",
        support_phone="+39 06 0000 0000",
        mail_foot="Example Ltd, 1 Example Street, Rome",
        geoip_file=str(geoip.write(directory / "places.mmdb", {"198.51.100.0/24": rome})),
    )
    return TemplateLetters(settings)


def _logo(file: Path) -> Path:
    logo = Image.new("RGBA", (400, 80))
    drawing = ImageDraw.Draw(logo)
    drawing.rounded_rectangle((0, 8, 64, 72), 14, fill="#0b6e6e")
    drawing.line((12, 28, 32, 46, 52, 28), fill="white", width=6)
    font = ImageFont.truetype("/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf", 38)
    drawing.text((82, 18), "Example Mail", fill="#1a2020", font=font)
    logo.save(file)
    return file


def _picture(browser: Browser, letter: Letter) -> Image.Image:
    """The e-mail in every view, side by side."""
    shots = [_shot(browser, letter, *view) for view in VIEWS]
    size = sum(shot.width + GAP for shot in shots) - GAP, max(shot.height for shot in shots)
    sheet, x = Image.new("RGB", size, "#808080"), 0
    for shot in shots:
        sheet.paste(shot, (x, 0))
        x += shot.width + GAP
    return sheet.quantize(COLOURS)


def _shot(browser: Browser, letter: Letter, width: int, scheme: str, has_images: bool) -> Image.Image:
    picture = letter.picture
    content = base64.b64encode(picture.content).decode() if has_images else ""
    address = f"data:{picture.media_type};base64,{content}"
    page = browser.new_page(viewport={"width": width, "height": 100}, color_scheme=scheme, java_script_enabled=False)
    page.set_content(letter.html.replace(f"cid:{picture.content_id}", address))
    shot = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    page.close()
    return shot


if __name__ == "__main__":
    main()

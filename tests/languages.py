"""Which languages the tests try where each costs a browser or a row of pages."""

from settings import LANGUAGES

# Those with the longest sentences, and one more: what fits in them fits in all.
FEW_LANGUAGES = {code: name for code, name in LANGUAGES.items() if code in ("de", "ru", "it")}

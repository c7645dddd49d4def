"""The content security policy of every answer, pages and htmx fragments alike.

htmx 4.0.1 with its hx-csp extension needs no more than this, measured in Chromium without one report:

- script-src: only the nonce. No 'self', no 'unsafe-eval': hx-on, js: values and trigger filters are banned.
- style-src: only the nonce, for the one stylesheet. htmx's own indicator style is switched off
  (includeIndicatorCSS in the page's htmx-config); so is its settling, which would copy style attributes
  (defaultSettleDelay).
- trusted-types: one policy, "htmx", made by hx-csp. The core alone fails under Trusted Types.
- connect-src 'self' for the requests, img-src data: for QR codes.

The nonce is fresh in every answer. hx-csp removes every hx- attribute of an element without a fitting
`hx-nonce="{{ csp_nonce() }}"`. In a fragment it reads that answer's nonce from the header and puts the page's in
its place, so a fragment too is sent with this header and with its own nonce.
"""

import re

_SOURCE = re.compile(r"[^\s;,']+|'self'")


def content_security_policy(nonce: str, frame_ancestors: list[str]) -> str:
    for source in frame_ancestors:
        if not _SOURCE.fullmatch(source):
            raise ValueError(f"{source!r} is no origin that may embed Postern.")
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'nonce-{nonce}'",
            f"style-src 'nonce-{nonce}'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors " + (" ".join(frame_ancestors) or "'none'"),
            "require-trusted-types-for 'script'",
            "trusted-types htmx",
        ]
    )

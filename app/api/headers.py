"""Headers that go with every answer of the API: a browser is to take it for nothing else than it is."""

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
RAW_SECURITY = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]

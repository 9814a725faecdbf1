"""The HTTP API: sessions as JSON, errors as problems. No arithmetic."""

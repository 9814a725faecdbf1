"""Sessions: how they are kept, versioned, limited and expired. No HTTP."""

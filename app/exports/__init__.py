"""Sessions and tensors written out for other programs."""

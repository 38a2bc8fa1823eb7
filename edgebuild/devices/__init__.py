"""Devices, one file a transport, and the small runner that travels to them."""

"""Jobs: the folder that travels between us and a device, and the small runner that executes it there."""

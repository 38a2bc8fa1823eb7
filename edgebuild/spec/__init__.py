"""The nouns of the product and the reading of files that declare them; knows nothing of the other rooms."""

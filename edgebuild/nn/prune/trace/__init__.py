"""Which channel of which parameter depends on which other: channel numbers followed through the graph of operators."""

"""One file a kind of package: what a bundle becomes for a platform that has its own idea of a deployable."""

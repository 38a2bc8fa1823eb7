"""Steps on other machines: what travels to a worker and back, both ends of it, and the part of a build that is away."""

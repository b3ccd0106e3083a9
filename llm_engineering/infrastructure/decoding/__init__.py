"""Generation in this process: many answers at once over one base, each with its own adapter."""

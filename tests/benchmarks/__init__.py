"""What the engine and the server cost, each measured beside a reference in the same run."""

"""The mathematics: networks, passes, losses, optimizers. No HTTP, clocks, files or global random state."""

"""Against data and outputs made by other people's code, read in place from the shared folder."""

"""The development stack: the whole service on one machine, with real servers."""

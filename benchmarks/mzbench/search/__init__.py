"""The cases `search` and `search-parts`: the tree work of a batch of searches."""

"""How responses are drawn: a declaration a file here, what it opens in the rooms: shared < embedded, vllm_engine < server."""

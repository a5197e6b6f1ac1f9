"""Runs a graph: processes < record, policy < training, batches < run < inspect."""

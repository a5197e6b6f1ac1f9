"""Compiles a spec into a plan and a graph, without torch.

Rooms: resolve < rules < estimates, past_runs < planning < render, compile < compare.
"""

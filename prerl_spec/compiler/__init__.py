"""What will be run, before torch is loaded: resolve < rules < estimates, past_runs < planning < render, compile < compare."""

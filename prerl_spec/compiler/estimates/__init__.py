"""What a run costs and needs: step counts, memory, files, packages, servers. Built on rules."""

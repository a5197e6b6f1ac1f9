"""What a run writes down: checkpoints, events, artefacts, inputs, trackers. Built on processes."""

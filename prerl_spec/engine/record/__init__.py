"""The files a run writes: checkpoints, events, artefacts, inputs, trackers. Built on processes."""

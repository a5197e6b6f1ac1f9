"""Commands that read a run folder: report, samples."""

"""What is wrong with the data of a spec, found without the model: rows, gold answers, repeats, overlaps with benchmarks."""

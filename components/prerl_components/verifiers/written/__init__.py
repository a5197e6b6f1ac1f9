"""How an answer is written: its characters, decoration, numbers, units, letters and pieces; text in, text out."""

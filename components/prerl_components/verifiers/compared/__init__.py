"""Whether two answers are the same: what each says, read by Math-Verify's parser, and compared piece by piece."""

"""Published policy-gradient surrogates as components for prerl-spec, one a file."""

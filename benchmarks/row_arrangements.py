"""What laying samples out in rows costs: a training step's forwards and backwards in each arrangement, on one thread.

    OMP_NUM_THREADS=1 python -m benchmarks.row_arrangements [--rounds 5] [--vocabulary 51]

A step is 8 prompts x 8 responses of Qwen3's shape (hidden size 128, 4 layers), GRPO, every sample with a weight. `floor` is
forward and backward of the same samples by the bare model and its cross-entropy, one sample a forward; the table has the
median CPU seconds of each arrangement divided by it, all of them timed in turn in every round. Lengths are tokens of prompt
and response: "16+64" is a fixed length, "16+8..120" uniform from 8 to 120, "128+16 skewed" a few long ones among short ones.
"""

GROUPS, GROUP = 8, 8
TOKENS_PER_PASS = 1024

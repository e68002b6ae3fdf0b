"""Convolution on CSR weights.

`plan` says how images are laid out for the loops, `planes` copies them there and back, `index`
turns CSR columns into offsets, `loops` are the compiled loops, and `kernels` is what layers call.
"""

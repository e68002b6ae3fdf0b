"""Numbers of the paper, to stand beside ours.

Table 1's line for Fashion-MNIST equals, where the authors released a learning curve (W0, W1, W3,
W4, W6, W7, W9), the largest value of ``testacc.txt`` over 200 epochs; those are multiples of
1/12,000, so they were measured on the 12,000 images held out for validation.
"""

TABLE_1 = (0.8748, 0.8753, 0.8741, 0.8754, 0.8801, 0.8758, 0.8734, 0.8770, 0.8777, 0.8802)
FIGURE_4_END = (0.5, 0.7)  # the text: from 0 to 0.6
FIGURE_6_END = (0.7, 0.9)  # the text: around 0.8
FIGURE_7_OVERTAKEN = 400  # epochs after which SET is above its topologies trained anew

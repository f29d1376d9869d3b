"""What is measured on a match: pure functions of one pair, and torchmetrics classes that gather pairs into a figure."""

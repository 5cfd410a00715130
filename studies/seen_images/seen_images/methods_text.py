PAPER = {}
methods = lambda *_: None

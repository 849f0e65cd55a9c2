"""What `arkor start` runs in this folder."""

from arkor import create_arkor

from .trainer import make_trainer

arkor = create_arkor(trainer=make_trainer())

"""How hard the core's promises are tried: on a busy machine, too, an example may take its time."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "arkor", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("arkor")

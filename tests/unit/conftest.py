"""What the property tests share: no deadline, since a slow machine is no defect."""

from hypothesis import settings

settings.register_profile("unit", deadline=None)
settings.load_profile("unit")

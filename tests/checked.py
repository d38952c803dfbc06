"""What checks signatures at run time: a whole number will do for a real one."""

from beartype import BeartypeConf, beartype

signatures = beartype(conf=BeartypeConf(is_pep484_tower=True))

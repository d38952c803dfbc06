"""What the parts share: the regression problem and the attack on it."""

from simulator.attacked import SPECTRA, AttackedParams
from simulator.maths.norms import ATTACK_NORMS
from simulator.parameters import choice, parameters, traced


@parameters
class RobustParams(AttackedParams):
    """Attacks in any norm, and inputs that may be correlated."""

    spectrum: str = choice("power_law", (*SPECTRA, "ar1"))
    correlation: float = traced(
        0.5, detail="of neighbouring inputs, Σ_ij = ρ^|i-j| (ar1)", above=-1, below=1
    )
    attack_norm: str = choice("l2", ATTACK_NORMS)
    attack_p: float = traced(2.0, above=1)

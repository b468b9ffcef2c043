import sys
from pathlib import Path

SAMPLES = Path(__file__).parents[2] / "samples"
# The makers are scripts, not a package: run as such, they find each other in their own folder.
sys.path.insert(0, str(SAMPLES))
